import { assert, it } from "@effect/vitest"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import { connecting } from "../src/loads/udpSocket.ts"

it("a load of datagrams hears nothing of what another one has left", async () => {
  const server = Dgram.createSocket("udp4").bind(0, "127.0.0.1")
  await once(server, "listening")
  const target = `${server.address().port}`
  const open = connecting(target)
  const first = [await open(), await open()]
  const second = await connecting(target)()
  const [one, another] = first.map((socket) => socket.address())
  assert.strictEqual(one?.address, another?.address)
  assert.notStrictEqual(one?.address, second.address().address)
  for (const socket of [...first, second]) socket.close()
  server.close()
})
