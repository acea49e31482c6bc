/** The clients of the ancestor's documentation. */
import { type Connection, type Endpoint, Protocol } from "@socketserver/core"
import { NodeClient } from "@socketserver/node"
import { Console, Effect, Stream } from "effect"
import { repr } from "../traced-echo/server.ts"

const raw = { protocol: Protocol.bytes() }

/** Says each step, as the client of PyMOTW does. */
export const tracedClient = (endpoint: Endpoint.Endpoint) =>
  Effect.gen(function* () {
    const data = Buffer.from("Hello, world")
    yield* say("creating socket")
    yield* say("connecting to server")
    const socket = yield* NodeClient.connect(raw, endpoint)
    yield* say(`sending data: ${repr(data)}`)
    yield* socket.write(data)
    yield* say("waiting for response")
    yield* say(`response from server: ${repr(yield* socket.take)}`)
    yield* say("closing socket")
    yield* closed(socket)
    yield* say("done")
  }).pipe(Effect.scoped)

/** `python TCPClient.py hello world with TCP`, and then `python is nice`. */
export const helloClient = (endpoint: Endpoint.Endpoint) =>
  Effect.forEach(
    ["hello world with TCP", "python is nice"],
    (data) =>
      Effect.gen(function* () {
        const socket = yield* NodeClient.connect(raw, endpoint)
        yield* socket.write(Buffer.from(`${data}\n`))
        const received = yield* socket.take
        yield* Console.log(`Sent:     ${data}`)
        yield* Console.log(`Received: ${Buffer.from(received).toString().trim()}`)
      }).pipe(Effect.scoped),
    { discard: true }
  )

export const threadClient = (endpoint: Endpoint.Endpoint) =>
  Effect.gen(function* () {
    const socket = yield* NodeClient.connect(raw, endpoint)
    const message = Buffer.from("Hello, world")
    yield* Console.log(`Sending : ${repr(message)}`)
    yield* socket.write(message)
    yield* Console.log(`Received: ${repr(yield* socket.take)}`)
  }).pipe(Effect.scoped)

const say = (step: string) => Console.log(`client: ${step}`)

/** Half-closes, and waits for the server to do the same: then all of its lines are there. */
const closed = (socket: Connection.Connection<Uint8Array, Uint8Array>) =>
  Effect.andThen(socket.end, Stream.runDrain(socket.stream))
