/** A datagram that seems to come from the server itself: an answer would be answered, for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Transport from "@socketserver/core/Transport"
import type * as dgram from "node:dgram"
import { EventEmitter } from "node:events"
import { networkInterfaces } from "node:os"
import { receiving } from "../src/internal/udpListener.ts"

const heard = (host: string, from: { readonly address: string; readonly port: number }) => {
  const socket = Object.assign(new EventEmitter(), { address: () => ({ address: host }) }) as unknown as dgram.Socket
  const said: Array<string> = []
  const sink = {
    receive: () => void said.push("received"),
    refuse: (_peer: unknown, _listener: unknown, { reason }: { readonly reason: string }, kind: unknown) =>
      void said.push(`${kind} refused: ${reason}`)
  } as unknown as Transport.Sink
  receiving(sink, socket, Endpoint.udp(host, 9_000), undefined)
  socket.emit("message", Buffer.from("x"), { ...from, family: "IPv4", size: 1 })
  return said
}

const refused = ["datagram refused: the sender's address is the server's own"]
const mine = Object.values(networkInterfaces()).flatMap((some) => some ?? [])[0]?.address ?? "127.0.0.1"

describe("a datagram from the server's own address", () => {
  it.each([
    { host: "127.0.0.1", address: "127.0.0.1", is: refused },
    { host: "0.0.0.0", address: "127.0.0.1", is: refused },
    { host: "0.0.0.0", address: "127.0.0.9", is: refused },
    { host: "0.0.0.0", address: mine, is: refused },
    { host: "::", address: "::1", is: refused },
    { host: "::", address: "::ffff:127.0.0.1", is: refused }
  ])("is refused: $address at $host", ({ address, host, is }) =>
    assert.deepStrictEqual(heard(host, { address, port: 9_000 }), is)
  )

  it.each([
    { host: "127.0.0.1", address: "127.0.0.1", port: 9_001 },
    { host: "127.0.0.1", address: "127.0.0.2", port: 9_000 },
    { host: "0.0.0.0", address: "192.0.2.77", port: 9_000 },
    { host: "::", address: "2001:db8::77", port: 9_000 }
  ])("is no other's: $address:$port at $host", ({ host, ...from }) =>
    assert.deepStrictEqual(heard(host, from), ["received"])
  )
})
