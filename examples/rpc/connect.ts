/** Where `CONNECT` says that the server is, as Effect's own sockets take it. */
import { NodeSocket } from "@effect/platform-node"
import { type Layer, Result } from "effect"
import type { Socket } from "effect/socket"
import { readFileSync } from "node:fs"

const forms = "HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, tls://HOST:PORT?ca=FILE, unix:///PATH, or /PATH"

/** A socket to where a text says, or what is wrong with it. */
export const socketTo = (text: string): Result.Result<Layer.Layer<Socket.Socket, Socket.SocketError>, string> => {
  const wrong = (problem: string) => Result.fail(`CONNECT: ${JSON.stringify(text)} ${problem}; it is ${forms}`)
  const [, scheme, rest = ""] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? []
  if (scheme === "unix" || (scheme === undefined && rest.startsWith("/"))) {
    return rest.startsWith("/") ? Result.succeed(NodeSocket.layerNet({ path: rest })) : wrong("has no absolute path")
  }
  if (scheme !== undefined && scheme !== "tcp" && scheme !== "tls") {
    return wrong(`has a scheme that this client does not know, ${JSON.stringify(scheme)}`)
  }
  const [, v6, name, digits, query] = /^(?:\[([\da-f:.]+)\]|([^:/?#[\]\s]+)):(\d+)(?:\?(.*))?$/i.exec(rest) ?? []
  const host = v6 ?? name
  const port = Number(digits)
  if (host === undefined) return wrong("has no host and port")
  if (port < 1 || port > 65_535) return wrong(`has the port ${digits}, which is not 1 to 65535`)
  if (scheme !== "tls") {
    return query === undefined ? Result.succeed(NodeSocket.layerNet({ host, port })) : wrong("has options without tls")
  }
  const options = new URLSearchParams(query)
  const unknown = [...options.keys()].find((key) => key !== "ca")
  if (unknown !== undefined) return wrong(`has the option ${JSON.stringify(unknown)}, and there is only ca`)
  const file = options.get("ca")
  if (file === null) return Result.succeed(NodeSocket.layerTls({ host, port }))
  return Result.match(
    Result.try(() => readFileSync(file)),
    {
      onFailure: (error) => wrong(`names a file that cannot be read: ${(error as Error).message}`),
      onSuccess: (ca) => Result.succeed(NodeSocket.layerTls({ host, port, ca }))
    }
  )
}
