/** The worker's end of the channel: look here for what becomes of a frame of the parent. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import type * as Worker from "@socketserver/core/Worker"
import * as Effect from "effect/Effect"
import { connectionKind, defaultWindow, type Kind, requestKind, setUpKind, toldOfStop } from "../channel/calls.ts"
import type { Claims } from "../channel/claims.ts"
import type { Described } from "../channel/description.ts"
import { Ask, factsBytes, type FrameReceiver, FrameReader, FrameWriter, readFacts, Tell } from "../channel/frames.ts"
import type { Role } from "../channel/given.ts"
import type { Link } from "../channel/link.ts"
import type { Tick } from "../channel/tick.ts"
import { Call, type Encode } from "./call.ts"
import { CallWire } from "./callWire.ts"
import { Intake } from "./intake.ts"
import { placing } from "./placing.ts"
import { Refs } from "./refs.ts"
import { Pushes, RemoteRef } from "./remoteRef.ts"

/** A call that has begun: a connection of this program's server. */
interface Begun {
  readonly call: Call
  readonly wire: CallWire
}

/**
 * The worker's end: takes calls from the channel, hands each to the server of
 * this program as a connection, and sends back what the handler answers.
 */
export class WorkerHost implements Remote.Host, FrameReceiver {
  readonly service: string
  readonly address: string
  readonly worker: Worker.Worker
  readonly policy: Policy.Policy
  private readonly writer: FrameWriter
  private readonly onStop: () => void
  private readonly run: (effect: Effect.Effect<unknown>) => void
  private readonly graceMillis: number
  private readonly tick: Tick
  private readonly windowBytes: number
  private readonly intake: Intake
  private readonly begun = new Remote.Passing<number, Begun>()
  private readonly refs: Refs
  private readonly pushes = new Pushes()
  private taker: Remote.Taker | undefined = undefined
  private encode: Encode | undefined = undefined
  private ending = false
  private readonly spentMillis: () => number
  /** Whether it serves, and whether all layers of its program are built: undefined where nobody will say. */
  private serves = false
  private isBuilt: boolean | undefined = undefined

  constructor(options: {
    readonly role: Role
    readonly id: number
    readonly link: Link
    readonly claims: Claims
    readonly tick: Tick
    /** Starts what it does for its server. */
    readonly run: (effect: Effect.Effect<unknown>) => void
    readonly onStop: () => void
    readonly onLost: () => void
    /** How much of the CPU it has used, in milliseconds. */
    readonly spentMillis?: () => number
  }) {
    const { claims, link, role, tick } = options
    this.service = role.service
    this.address = role.address
    this.onStop = options.onStop
    this.spentMillis = options.spentMillis ?? (() => 0)
    this.run = options.run
    this.refs = new Refs(options.run)
    this.graceMillis = role.graceMillis
    this.tick = tick
    this.windowBytes = role.windowBytes ?? defaultWindow
    // An answer, and that there is room for the next call, leave together: half the writes, and half the wakes of the parent.
    const writer = new FrameWriter(link.send, tick.afterTurn)
    this.writer = writer
    this.intake = new Intake({ each: role.each, claims, link, writer, tick, begin: (call) => this.begin(call) })
    let requests = 0
    this.worker = {
      kind: role.kind,
      id: options.id,
      get requests() {
        return requests
      }
    }
    this.policy = {
      name: role.kind,
      worker: role.kind,
      onPeerGone: "cancel",
      drain: (requests, begin, server) =>
        Effect.suspend(() => {
          this.serves = true
          this.tellReady()
          return Remote.drain(requests, begin, server)
        }),
      place: (served, server) => {
        this.encode = Remote.payloadEncoder(server.protocol.server)
        const placed = placing(served as never, {
          encode: this.encode,
          begunOf: (id) => this.begun.get(id),
          onRequest: () => {
            // What others have answered does not wait for a handler that computes, or that ends this worker.
            writer.flush()
            requests++
          },
          onConnected: ({ call, wire }) => {
            writer.add(Tell.connected, call.id)
            wire.input(undefined)
          },
          onFree: (call) => this.free(call)
        })
        // After its server has ended, and before what its handler is made of does.
        return Effect.as(
          Effect.addFinalizer(() => this.released),
          placed as never
        )
      }
    }
    const reader = new FrameReader(this)
    link.start({ onBytes: (chunk) => reader.push(chunk), onEnd: options.onLost })
  }

  open(taker: Remote.Taker): void {
    this.taker = taker
    taker.observe(({ connection, outcome }: Outcome.Event) => this.begun.get(connection.id)?.call.onOutcome(outcome))
    const stopped = Effect.map(taker.stopping, (why) => {
      // A handler that stops its server stops it for all; a worker that has failed is one less.
      if (!this.ending && why === "asked") this.writer.add(Tell.shutdown, 0)
      this.intake.stop()
    })
    this.run(stopped)
  }

  /** It is not ready before all layers of its program are built: what fails there is a start that fails. */
  awaits(): void {
    this.isBuilt = false
  }

  built(): void {
    this.isBuilt = true
    this.tellReady()
  }

  private tellReady(): void {
    if (this.serves && this.isBuilt !== false) this.writer.add(Tell.ready, this.spentMillis())
  }

  /** What its program says of its own end leaves before that. */
  ends(problem: string): void {
    this.writer.add(Tell.problem, 0, problem)
    this.writer.flush()
  }

  onFrame(kind: number, id: number, body: Buffer): void {
    switch (kind) {
      case Ask.connection:
        return this.refs.add(this.refOf(id, JSON.parse(body.toString()) as Described))
      case Ask.request:
        return this.take(id, requestKind, body)
      case Ask.open:
        return this.take(id, connectionKind, body)
      case Ask.connect:
        return this.take(id, setUpKind, body)
      case Ask.data:
        return this.begun.get(id)?.wire.input(body)
      case Ask.end:
        if (body.length === 0) return this.begun.get(id)?.wire.input(undefined)
        return body.toString() === toldOfStop ? this.taker?.stop(id) : this.begun.get(id)?.wire.stop()
      case Ask.cancel:
        return this.intake.cancel(id) ? undefined : this.cancel(this.begun.get(id), body)
      case Ask.credit:
        return this.credited(id, body.readUInt32LE(0))
      case Ask.gone:
        return this.refs.end(id)
      case Ask.pushed:
        return this.pushes.confirm(
          id,
          body.length === 0 ? undefined : (JSON.parse(body.toString()) as Connection.Reason)
        )
      case Ask.control:
        return this.control(id, body)
      case Ask.controlEnd:
        return this.control(id, undefined)
      case Ask.stop:
        this.ending = true
        return this.onStop()
    }
  }

  /** What hangs on its connections is run to its end, also of those that are open; if that takes no longer than this program may take to end. */
  private readonly released: Effect.Effect<void> = Effect.callback((resume) => {
    const done = () => resume(Effect.void)
    const callOff = this.tick.after(this.graceMillis, done)
    this.refs.endAll(() => {
      callOff()
      done()
    })
  })

  private cancel(begun: Begun | undefined, why: Buffer): void {
    if (begun === undefined) return
    if (why.length > 0) begun.call.ref.endedBy ??= why.toString() as Connection.EndedBy
    begun.wire.cancel()
  }

  /** A call that has not begun takes it along. */
  private control(id: number, payload: Buffer | undefined): void {
    const begun = this.begun.get(id)
    if (begun === undefined) this.intake.get(id)?.control(payload)
    else begun.wire.control(payload)
  }

  private refOf(id: number, described: Described): RemoteRef<unknown> {
    const { pushes, windowBytes, writer } = this
    return new RemoteRef({ id, described, writer, pushes, encode: () => this.encode as Encode, windowBytes })
  }

  private take(id: number, kind: Kind, body: Buffer): void {
    const facts = readFacts(body)
    const ref = this.refs.get(facts.connection)
    if (ref === undefined) return
    const payload = body.subarray(factsBytes)
    this.intake.add(new Call({ id, kind, facts, ref, payload, writer: this.writer, windowBytes: this.windowBytes }))
  }

  private begin(call: Call): void {
    if (this.taker === undefined) return
    const { facts, id, kind, ref } = call
    const payload = call.takePayload()
    ref.update(facts)
    const wire = new CallWire({
      id,
      peer: ref.peer,
      listener: ref.listener,
      writer: this.writer,
      tick: this.tick,
      whole: kind === connectionKind,
      windowBytes: this.windowBytes,
      // What a whole connection carries is said by what it came with.
      carries: kind !== connectionKind ? "payloads" : payload?.length === 0 ? "stream" : "datagrams",
      isOver: () => call.isOver,
      onStopped: () => this.taker?.stop(id),
      onClosed: (started) => this.closed(call, started)
    })
    this.begun.set(id, { call, wire })
    ref.began()
    this.intake.began(call)
    if (kind === requestKind) {
      wire.input(payload)
      wire.input(undefined)
    }
    this.taker.accept(wire, id)
    for (const payload of call.takeControls()) wire.control(payload)
  }

  private credited(id: number, bytes: number): void {
    const begun = this.begun.get(id)
    if (begun?.call.kind === connectionKind) begun.wire.taken(bytes)
    else begun?.call.messages.credited(bytes)
  }

  /** Its server has no connection for the call any more. */
  private closed(call: Call, started: boolean): void {
    if (!started) {
      // The server was stopping: nothing has begun, so that another worker may do it.
      this.writer.add(Tell.returned, call.id)
      return this.free(call)
    }
    if (call.kind === connectionKind) call.tellOutcome()
    if (!call.isPlaced) this.free(call)
  }

  /** The call and everything of it has ended. */
  private free(call: Call): void {
    if (!this.begun.delete(call.id)) return
    call.ref.ended()
    this.writer.add(Tell.freed, call.id)
    this.intake.ended(call)
  }
}
