/** HTTP in bytes: a peer that says what it likes. */
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as tls from "node:tls"

/** A connection in bytes, and all that it has received. */
export const peerOf = <Self, In, Out>(tag: Server.Tag<Self, In, Out>, cert: string) =>
  Effect.flatMap(tag, ({ address }) =>
    Effect.acquireRelease(
      Effect.sync(() => connected(address, cert)),
      ({ socket }) => Effect.sync(() => socket.destroy())
    )
  )

const connected = (address: Endpoint.Endpoint, cert: string) => {
  const options = { allowHalfOpen: true }
  const socket =
    address._tag === "Unix"
      ? net.connect({ ...options, path: address.path })
      : address._tag === "Tls"
        ? tls.connect({ ...options, port: address.port, servername: "localhost", ca: fs.readFileSync(cert) })
        : net.connect({ ...options, port: (address as Endpoint.Tcp).port })
  let text = ""
  let ended = false
  const waiting = new Set<() => void>()
  const changed = () => waiting.forEach((look) => look())
  socket.setEncoding("latin1").on("data", (more: string) => ((text += more), changed()))
  for (const event of ["end", "close"]) socket.on(event, () => ((ended = true), changed()))
  socket.on("error", () => {})
  const when = (holds: () => boolean) =>
    Effect.callback<string>((resume) => {
      const look = () => {
        if (holds()) resume(Effect.sync(() => text))
      }
      waiting.add(look)
      look()
      return Effect.sync(() => waiting.delete(look))
    })
  return {
    socket,
    write: (more: string) => Effect.sync(() => void socket.write(more)),
    says: (what: string) => {
      // What has been looked at is not looked at again: there may be much.
      let from = 0
      return when(() => {
        const found = text.includes(what, from)
        from = Math.max(0, text.length - what.length)
        return found
      })
    },
    ended: when(() => ended),
    get text() {
      return text
    }
  }
}

export const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: test\r\n${more}\r\n`
