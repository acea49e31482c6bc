/** Control messages on the parent's side: what a peer sends about a request goes to the worker that has it. */
import type { Payload } from "@socketserver/core/Protocol"
import type * as Remote from "@socketserver/core/Remote"
import { Ask } from "../channel/frames.ts"
import type { Line } from "./call.ts"

/** Passes on the control messages of one request: a few at a time, so that one whose worker computes does not fill its channel. */
export class ControlRelay {
  private readonly controls: Remote.Controls
  private line: Pick<Line, "tell"> | undefined = undefined
  /** Those on their way. The worker has not taken them, so that they go along where the request goes to another. */
  private sent: Array<Payload> = []
  private isEnded = false

  constructor(controls: Remote.Controls) {
    this.controls = controls
    controls.onChange = () => this.pass()
  }

  /** A worker has the request; another one had it before, if it has any sent. */
  begin(line: Pick<Line, "tell">): void {
    this.line = line
    this.isEnded = false
    for (const payload of this.sent) line.tell(Ask.control, payload)
    this.pass()
  }

  /** The worker has taken some. */
  credited(count: number): void {
    this.sent = this.sent.slice(count)
    this.pass()
  }

  /** The request has its answer. */
  leave(): void {
    this.line = undefined
  }

  private pass(): void {
    const { controls, line, sent } = this
    if (line === undefined) return
    while (sent.length < mostSent) {
      const next = controls.take()
      if (next === undefined) break
      sent.push(next.payload)
      line.tell(Ask.control, next.payload)
    }
    if (!controls.isOver || this.isEnded) return
    this.isEnded = true
    line.tell(Ask.controlEnd)
  }
}

const mostSent = 16
