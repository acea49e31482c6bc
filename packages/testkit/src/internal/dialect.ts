import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/** A message, and its payload written out by hand: what a protocol says of its own bytes proves nothing. */
export interface Sample<out Out> {
  readonly name: string
  readonly message: Out
  /** The payload of the message. */
  readonly said: Uint8Array
  /** The payload of the request that is answered with the message. */
  readonly asked: Uint8Array
}

/** A message that cannot be written, and what is said of it. */
export interface Unencodable<out Out> {
  readonly message: Out
  readonly problem: RegExp
  /** Whether it is only its framing that it does not fit. Default: `false`. */
  readonly fitsDatagrams?: boolean | undefined
}

/** A protocol, what a handler says with it, and what is then on the wire. */
export interface Options<in out In, in out Out> {
  readonly name: string
  readonly protocol: Protocol.Protocol<In, Out, never, unknown>
  /** A payload as it is on a connection. */
  readonly frame: (payload: Uint8Array) => Uint8Array
  /** The same for a request. Default: as for a reply. */
  readonly frameRequest?: ((payload: Uint8Array) => Uint8Array) | undefined
  /** A payload as it is in a datagram. Default: the payload. */
  readonly datagram?: ((payload: Uint8Array) => Uint8Array) | undefined
  readonly datagramRequest?: ((payload: Uint8Array) => Uint8Array) | undefined
  /** The payload of a request that says what shall happen. */
  readonly ask: (word: Word) => Uint8Array
  /** What a request says shall happen. */
  readonly wordOf: (message: In) => string
  /** What any other request is answered with. */
  readonly answer: (message: In) => Out
  /** The first is neither empty nor large. */
  readonly samples: readonly [Sample<Out>, ...Array<Sample<Out>>]
  readonly unencodable?: Unencodable<Out> | undefined
  /** What a frame is that a half-close cuts off. Default: `"malformed"`. */
  readonly cutOff?: "malformed" | "request" | "chunk" | undefined
  /** Whether a reply leaves as soon as it is ready. Default: `false`. */
  readonly overtakes?: boolean | undefined
  /** Whether its messages go through sessions and whole connections as well. Default: `false`. */
  readonly isThorough?: boolean | undefined
}

/** What a request can ask for, beside an answer. */
export type Word = "stream" | "push" | "bad" | "badstream" | "badpush" | "hold"

/** A service is told from others by its name alone. */
export interface Speaker {
  readonly Speaker: unique symbol
}

/** A server of messages of some type, which only it and its work know. */
export interface Speaking<out Work> {
  readonly server: Server.ServiceClass<Speaker, string, unknown, unknown>
  readonly work: Work
}

type Bytes = (payload: Uint8Array) => Uint8Array

/** What the laws know of a protocol: its types are its own. */
export interface Dialect extends Pick<Options<unknown, unknown>, "name" | "samples" | "ask" | "unencodable"> {
  readonly frame: Bytes
  readonly frameRequest: Bytes
  readonly datagram: Bytes
  readonly datagramRequest: Bytes
  readonly cutOff: "malformed" | "request" | "chunk"
  readonly overtakes: boolean
  readonly isThorough: boolean
  readonly requests: Speaking<Handler.Handler<unknown, unknown>>
  readonly sessions: Speaking<() => Session.Session<unknown, unknown>>
  readonly dialogues: Speaking<Handler.Handler<unknown, unknown>>
}

export const dialect = <In, Out>(options: Options<In, Out>): Dialect => {
  const { datagram = (payload) => payload, frame, name, protocol } = options
  const { cutOff = "malformed", datagramRequest = datagram, frameRequest = frame } = options
  const { isThorough = false, overtakes = false } = options
  const serving = <A, B, Work>(kind: string, protocol: Protocol.Protocol<A, B, never, unknown>, work: unknown) =>
    ({ server: Server.Service<Speaker>()(`Placement/${name}/${kind}`, { protocol }), work }) as never as Speaking<Work>
  return {
    name,
    ask: options.ask,
    samples: options.samples,
    unencodable: options.unencodable,
    frame,
    frameRequest,
    datagram,
    datagramRequest,
    cutOff,
    overtakes,
    isThorough,
    requests: serving("requests", protocol, obeying(options)),
    sessions: serving("sessions", protocol, () => counting(options)),
    dialogues: serving("dialogues", Protocol.connection(protocol), talking(options))
  }
}

/** Why the second peer of a session, and every second one after it, is turned away. */
export const noRoom = "there is no room"

/** Does what a request says: a worker cannot be given a closure of the test. */
const obeying = <In, Out>({ answer, samples, unencodable, wordOf }: Options<In, Out>): Handler.Handler<In, Out> => {
  const all = samples.map(({ message }) => message)
  const [{ message: first }] = samples
  const bad = unencodable?.message as Out
  return (request) => {
    switch (wordOf(request.body)) {
      case "stream":
        return Effect.succeed(Response.stream(Stream.fromIterable(all)))
      case "push": {
        const pushes = Effect.forEach(all, (message) => request.connection.push(message), { discard: true })
        return Effect.as(Effect.orDie(pushes), Response.make(first))
      }
      case "bad":
        return Effect.succeed(Response.make(bad))
      case "badstream":
        return Effect.succeed(Response.stream(Stream.make(first, bad, first)))
      case "badpush":
        return Effect.match(request.connection.push(bad), {
          onFailure: ({ reason }) => (reason._tag === "EncodeFailed" ? Response.make(first) : Response.empty),
          onSuccess: () => Response.empty
        })
      case "hold":
        return Effect.never
      default:
        return Effect.succeed(Response.make(answer(request.body)))
    }
  }
}

/** Greets with the first sample, turns every second peer away, and answers the others with one sample after the other, from the second on. */
const counting = <In, Out>({ samples }: Options<In, Out>): Session.Session<In, Out> => {
  let peers = 0
  return Session.make((connection) =>
    Effect.gen(function* () {
      yield* Effect.orDie(connection.push(samples[0].message))
      if (++peers % 2 === 0) return yield* Session.refuse(noRoom)
      let count = 0
      return () => Effect.sync(() => Response.make((samples[++count % samples.length] as Sample<Out>).message))
    })
  )
}

/** Answers each message, and at the end says whether what cannot be written was not. */
const talking = <In, Out>({ answer, samples, unencodable }: Options<In, Out>) =>
  Handler.dialogue<In, Out>((connection) =>
    Effect.gen(function* () {
      yield* Stream.runForEach(connection.stream, (message) => connection.write(answer(message)))
      if (unencodable === undefined) return
      yield* Effect.catchIf(
        connection.write(unencodable.message),
        ({ reason }) => reason._tag === "EncodeFailed",
        () => connection.write(samples[0].message)
      )
    })
  )

/** The servers of one dialect, for a program that is started as a worker. */
export const workersOf = ({ dialogues, isThorough, requests, sessions }: Dialect): Layer.Layer<never, unknown> => {
  const answering = Layer.provide(requests.server.serve(requests.work), MemoryServer.layer(requests.server))
  if (!isThorough) return answering
  return Layer.mergeAll(
    answering,
    Layer.provide(sessions.server.serve(sessions.work()), MemoryServer.layer(sessions.server)),
    Layer.provide(dialogues.server.serve(dialogues.work), MemoryServer.layer(dialogues.server))
  )
}
