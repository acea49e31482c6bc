import type * as Wire from "@socketserver/core/Wire"
import * as NetAddress from "effect/net/NetAddress"
import type { PeerState } from "../Laws.ts"
import type { Scenario, Scripted, Subject } from "../Scenario.ts"

/** A peer at work. */
export class Peer implements PeerState {
  readonly script: Scripted
  readonly asked: Array<string> = []
  expected = ""
  length = 0
  latest = ""
  open = true
  hasReset = false
  sawEnd = false
  reads = true
  wire: Wire.Wire | undefined
  private readonly pieces: Array<string> = []
  private readonly decoder = new TextDecoder()

  constructor(script: Scripted) {
    this.script = script
  }

  take(chunk: Uint8Array): void {
    this.latest = this.decoder.decode(chunk, { stream: true })
    this.length += this.latest.length
    this.pieces.push(this.latest)
  }

  get received(): string {
    return this.pieces.join("")
  }
}

/** The address in a name such as `10.0.0.1:4000`. */
export const addressOf = (name: string): NetAddress.SocketAddress | undefined => {
  const [, host, port] = /^([\d.]+):(\d+)$/.exec(name) ?? []
  return host === undefined ? undefined : NetAddress.inetAddressFromIpStringUnsafe(host, Number(port))
}

/** The largest message that a peer gets. */
export const largestOf = <Self, In, Out>(subject: Subject<Self, In, Out>, { peers }: Scenario): number => {
  let largest = 0
  for (const { steps } of peers) {
    for (const step of steps) {
      if (step.do !== "send") continue
      for (const ask of step.asks) {
        largest = Math.max(largest, subject.largest?.(ask) ?? subject.expects([ask]).length)
      }
    }
  }
  return largest
}
