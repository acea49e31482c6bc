import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Policy from "@socketserver/core/Policy"
import type { Codec } from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import type * as Worker from "@socketserver/core/Worker"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Claims } from "../channel/claims.ts"
import { CallWire, windowBytes } from "./callWire.ts"
import { encode } from "../channel/crossing.ts"
import {
  Ask,
  cost,
  type Facts,
  factsBytes,
  type FrameReceiver,
  FrameReader,
  FrameWriter,
  readFacts,
  Tell
} from "../channel/frames.ts"
import type { Link } from "../channel/link.ts"
import { CurrentCall, type Described, Pushes, RemoteRef } from "./remoteRef.ts"
import type { Role } from "./role.ts"

/** One request, whole connection or new peer that this worker has been given. */
interface Call {
  readonly id: number
  readonly kind: "request" | "open" | "connect"
  readonly facts: Facts
  readonly ref: RemoteRef<unknown>
  readonly wire: CallWire
  close: boolean
  /** Whether a handler has seen it, whose end is then the call's. */
  placed: boolean
  outcome: Outcome.Outcome | undefined
  /** Of a streamed response, what the parent has not taken yet, and who waits for that. */
  unsent: number
  resume: (() => void) | undefined
}

/** A call as it arrives. */
interface Asked {
  readonly id: number
  readonly kind: Call["kind"]
  readonly facts: Facts
  readonly ref: RemoteRef<unknown>
  readonly body: Buffer
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
  private readonly link: Link
  private readonly writer: FrameWriter
  private readonly onStop: () => void
  private readonly claims: Claims
  private readonly each: number
  private readonly calls = new Map<number, Call>()
  /** Of those, how many take a place. */
  private occupied = 0
  /** What it has not claimed yet. */
  private readonly waiting: Array<Asked> = []
  private nextIsDue = false
  private readonly refs = new Map<number, RemoteRef<unknown>>()
  private readonly pushes = new Pushes()
  private taker: Remote.Taker | undefined = undefined
  private codec: Codec<never, unknown> | undefined = undefined
  private begun = 0
  private ending = false
  private stopping = false

  constructor(options: {
    readonly role: Role
    readonly id: number
    readonly link: Link
    readonly claims: Claims
    readonly onStop: () => void
    readonly onLost: () => void
  }) {
    const { link, role } = options
    this.service = role.service
    this.address = role.address
    this.each = role.each
    this.link = link
    this.claims = options.claims
    this.onStop = options.onStop
    // An answer, and that there is room for the next call, leave together: half the writes, and half the wakes of the parent.
    this.writer = new FrameWriter(link.send, setImmediate)
    const requests = () => this.begun
    this.worker = {
      kind: role.kind,
      id: options.id,
      get requests() {
        return requests()
      }
    }
    this.policy = {
      name: role.kind,
      worker: role.kind,
      onPeerGone: "cancel",
      drain: (requests, begin) =>
        Effect.suspend(() => {
          this.writer.add(Tell.ready, 0)
          return Remote.drain(requests, begin)
        }),
      place: (handler, server) => {
        this.codec = server.protocol.server as Codec<never, unknown>
        return Effect.succeed(this.place(handler as never) as never)
      }
    }
    const reader = new FrameReader(this)
    link.start({ onBytes: (chunk) => reader.push(chunk), onEnd: options.onLost })
  }

  open(taker: Remote.Taker): void {
    this.taker = taker
    taker.observe((event) => this.settled(event))
    Effect.runFork(taker.stopping).addObserver(() => {
      if (!this.ending) this.writer.add(Tell.shutdown, 0)
      // What has not begun is for others: this server takes no connection any more.
      this.stopping = true
      for (const { id } of this.waiting.splice(0)) this.writer.add(Tell.returned, id)
    })
  }

  onFrame(kind: number, id: number, body: Buffer): void {
    switch (kind) {
      case Ask.connection:
        this.refs.set(id, this.remote(id, JSON.parse(body.toString()) as Described))
        return
      case Ask.request:
        return this.call(id, "request", body)
      case Ask.open:
        return this.call(id, "open", body)
      case Ask.connect:
        return this.call(id, "connect", body)
      case Ask.data:
        return this.calls.get(id)?.wire.input(body)
      case Ask.end:
        return this.calls.get(id)?.wire.input(undefined)
      case Ask.cancel:
        return this.cancel(id)
      case Ask.credit:
        return this.credited(id, body.readUInt32LE(0))
      case Ask.gone: {
        const ref = this.refs.get(id)
        this.refs.delete(id)
        if (ref !== undefined) Effect.runFork(ref.end())
        return
      }
      case Ask.pushed:
        return this.pushes.settle(
          id,
          body.length === 0 ? undefined : (JSON.parse(body.toString()) as Connection.Reason)
        )
      case Ask.stop:
        this.ending = true
        return this.onStop()
    }
  }

  private remote(id: number, described: Described): RemoteRef<unknown> {
    return new RemoteRef(id, described, this.writer, this.pushes, () => this.codec as Codec<never, unknown>)
  }

  private call(id: number, kind: Call["kind"], body: Buffer): void {
    const facts = readFacts(body)
    const ref = this.refs.get(facts.connection)
    if (ref === undefined) return
    if (facts.claim === 0) return this.begin({ id, kind, facts, ref, body })
    if (this.stopping) return this.writer.add(Tell.returned, id)
    this.waiting.push({ id, kind, facts, ref, body })
    this.next()
  }

  /** Begins what waits here as soon as there is a place for it. */
  private next(): void {
    if (this.nextIsDue || this.waiting.length === 0 || this.occupied >= this.each) return
    this.nextIsDue = true
    // Its handler begins in the next turn of the loop, however soon the last one has ended.
    queueMicrotask(() => {
      // Whatever becomes of the next, the answer of the last is safe.
      this.writer.flush()
      this.link.whenSent(() => {
        this.nextIsDue = false
        while (this.occupied < this.each) {
          const call = this.waiting.shift()
          if (call === undefined) return
          if (this.claims.claim(call.facts.claim - 1, call.id)) {
            this.begin(call)
            return this.next()
          }
          this.writer.add(Tell.dropped, call.id)
        }
      })
    })
  }

  private cancel(id: number): void {
    const index = this.waiting.findIndex((call) => call.id === id)
    if (index === -1) return this.calls.get(id)?.wire.cancel()
    this.waiting.splice(index, 1)
    this.writer.add(Tell.dropped, id)
  }

  private begin({ body, facts, id, kind, ref }: Asked): void {
    if (this.taker === undefined) return
    ref.update(facts)
    const call: Call = {
      id,
      kind,
      facts,
      ref,
      wire: new CallWire({
        id,
        peer: ref.peer,
        listener: ref.listener,
        writer: this.writer,
        whole: kind === "open",
        // A request is one message, and so is each chunk of a whole connection over datagrams.
        keepsBoundaries: kind === "request" || body.length > factsBytes,
        isOver: () => call.outcome !== undefined,
        onClosed: (started) => this.closed(call, started)
      }),
      close: false,
      placed: false,
      outcome: undefined,
      unsent: 0,
      resume: undefined
    }
    this.calls.set(id, call)
    if (kind !== "connect") this.occupied++
    if (kind === "request") call.wire.input(body.subarray(factsBytes))
    if (kind !== "open" && kind !== "connect") call.wire.input(undefined)
    this.taker.accept(call.wire, id)
  }

  private credited(id: number, bytes: number): void {
    const call = this.calls.get(id)
    if (call === undefined) return
    if (call.kind === "open") return call.wire.taken(bytes)
    call.unsent -= bytes
    if (call.unsent > windowBytes / 2) return
    const { resume } = call
    call.resume = undefined
    resume?.()
  }

  /** Its server has no connection for the call any more. */
  private closed(call: Call, started: boolean): void {
    if (!started) {
      // The server was stopping: nothing has begun, so that another worker may do it.
      this.writer.add(Tell.returned, call.id)
      return this.free(call)
    }
    if (call.kind === "open") this.tellOutcome(call)
    if (!call.placed) this.free(call)
  }

  /** The call and everything of it has ended. */
  private free(call: Call): void {
    if (!this.calls.delete(call.id)) return
    this.writer.add(Tell.freed, call.id)
    if (call.kind !== "connect") this.occupied--
    this.next()
  }

  private settled({ connection, outcome }: Outcome.Event): void {
    const call = this.calls.get(connection.id)
    if (call === undefined || call.outcome !== undefined) return
    call.outcome = outcome
    // The last bytes of a whole connection leave after its handler has ended.
    if (call.kind !== "open") this.tellOutcome(call)
  }

  private tellOutcome(call: Call): void {
    const outcome = call.outcome ?? Outcome.cancelled("PeerGone")
    if (outcome._tag === "Failed") {
      this.writer.add(Tell.failed, call.id, JSON.stringify(describeCause(outcome.cause)))
      return
    }
    const close = call.close ? "1" : "0"
    this.writer.add(Tell.done, call.id, outcome._tag === "Completed" ? close : close + JSON.stringify(outcome))
  }

  private place(handler: Handler.Handler<unknown, unknown, unknown>): Handler.Handler<unknown, unknown, unknown> {
    const hook = Remote.onConnect(handler)
    const placed = (request: Request.Request<unknown, unknown>) => {
      const call = this.calls.get(request.connection.id) as Call
      call.placed = true
      // What others have answered does not wait for a handler that computes, or that ends this worker.
      this.writer.flush()
      Remote.onEnd(request.connection, () => Effect.sync(() => this.free(call)))
      this.begun++
      const { ref } = call
      const effect: Effect.Effect<Response.Response<unknown>, never, unknown> = handler({
        id: call.facts.request,
        body: request.body,
        peer: ref.peer,
        receivedAt: call.facts.receivedAt,
        connection: ref
      })
      // An answer that is there already needs no fiber.
      if (Exit.isExit(effect) && Exit.isSuccess(effect))
        return this.answer(call, effect.value as Response.Response<unknown>)
      return Effect.flatMap(within(call, effect), (response) => this.answer(call, response))
    }
    if (hook === undefined) return placed
    return Remote.withOnConnect(placed, (connection) => {
      const call = this.calls.get(connection.id)
      if (call?.kind !== "connect") return Effect.void
      call.placed = true
      Remote.onEnd(connection, () => Effect.sync(() => this.free(call)))
      return Effect.onExit(within(call, hook(call.ref)), (exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) return
          this.writer.add(Tell.connected, call.id)
          call.wire.input(undefined)
        })
      )
    })
  }

  /** Sends a response, and leaves one for this program's own server that sends nothing. */
  private answer(call: Call, response: Response.Response<unknown>): Effect.Effect<Response.Response<unknown>> {
    if (response?._tag === undefined) return Exit.succeed(response)
    call.close = response.close
    const end = Response.withOutcome(Response.empty, response.outcome as Outcome.Outcome)
    switch (response._tag) {
      case "Empty":
        return Exit.succeed(end)
      case "Reply": {
        const problem = this.tellMessage(call, response.value)
        return problem === undefined ? Exit.succeed(end) : unencodable(problem)
      }
      case "Streamed": {
        this.writer.add(Tell.stream, call.id, response.close ? "1" : "0")
        const send = Stream.runForEachArray(response.value, (messages) => {
          const from = (start: number): Effect.Effect<void> => {
            for (let i = start; i < messages.length; i++) {
              const problem = this.tellMessage(call, messages[i])
              if (problem !== undefined) return unencodable(problem)
              if (call.unsent > windowBytes) return Effect.flatMap(this.taken(call), () => from(i + 1))
            }
            return Effect.void
          }
          return Effect.suspend(() => from(0))
        })
        return Effect.as(send, end)
      }
    }
  }

  private tellMessage(call: Call, message: unknown): string | undefined {
    const encoded = encode(this.codec as Codec<never, unknown>, message)
    if (Result.isFailure(encoded)) return encoded.failure
    const { success: bytes } = encoded
    this.writer.add(Tell.message, call.id, bytes)
    call.unsent += cost(typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length)
    return undefined
  }

  private taken(call: Call): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (call.unsent <= windowBytes) return resume(Effect.void)
      call.resume = () => resume(Effect.void)
    })
  }
}

/** Lets what a handler does know for which call. */
const within = <A>(call: Call, effect: Effect.Effect<A, never, unknown>): Effect.Effect<A, never, unknown> =>
  Effect.provideService(effect, CurrentCall, call.id) as Effect.Effect<A, never, unknown>

const unencodable = (problem: string) => Effect.die(new Error(`The response cannot be encoded: ${problem}`))

/** A defect as it crosses: its text, and where it happened. */
const describeCause = (cause: Cause.Cause<unknown>) => {
  const defect = cause.reasons.find(Cause.isDieReason)?.defect
  const message = defect instanceof Error ? defect.message : defect === undefined ? "interrupted" : String(defect)
  return { name: defect instanceof Error ? defect.name : "Error", message, stack: Cause.pretty(cause) }
}
