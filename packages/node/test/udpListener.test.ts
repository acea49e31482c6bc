/** Nothing that the system has taken is lost between a socket and whoever listens. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as dgram from "node:dgram"
import { read } from "../src/internal/dgramHandle.ts"
import * as udp from "../src/internal/udp.ts"
import { receiving } from "../src/internal/udpListener.ts"

/** Sends a datagram, which is in the queue of the socket when this ends; and some turns of the event loop later. */
const send = (port: number, text: string) =>
  Effect.andThen(
    Effect.callback<void>((resume) => {
      const client = dgram.createSocket("udp4")
      client.send(text, port, "127.0.0.1", () => client.close(() => resume(Effect.void)))
    }),
    Effect.repeat(
      Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
      { times: 5 }
    )
  )

const heard: Array<string> = []
const sink = {
  receive: ({ data }: { readonly data: Uint8Array }) => void heard.push(String(data))
} as unknown as Transport.Sink

const bound = Effect.gen(function* () {
  heard.length = 0
  const socket = yield* udp.bind(Endpoint.udp("127.0.0.1", 0), {})
  return { socket, address: Endpoint.udp("127.0.0.1", socket.address().port) }
})

/** What has been heard once there is something. */
const once = Effect.gen(function* () {
  while (heard.length === 0) yield* Effect.sleep("1 millis")
  return [...heard]
})

describe("a UDP socket", () => {
  it.live("keeps what comes before somebody listens", () =>
    Effect.gen(function* () {
      const { address, socket } = yield* bound
      yield* send(address.port, "early")
      receiving(sink, socket, address, undefined)
      assert.deepStrictEqual(yield* once, ["early"])
    })
  )

  it.live("that was inherited keeps what comes after a stop for whoever is next", () =>
    Effect.gen(function* () {
      const { address, socket } = yield* bound
      const listener = receiving(sink, socket, address, undefined, true)
      listener.close()
      yield* send(address.port, "late")
      assert.deepStrictEqual(heard, [])
      read(socket)
      assert.deepStrictEqual(yield* once, ["late"])
    })
  )
})
