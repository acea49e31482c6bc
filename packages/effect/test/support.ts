/** Servers over each kind of listener, and what tests look at. */
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

/** A directory of a test file, which goes when it has ended. */
export const directory = (): string => {
  const path = fs.mkdtempSync(join(tmpdir(), "bridge-"))
  afterAll(() => fs.rmSync(path, { recursive: true, force: true }))
  return path
}

/** A self-signed certificate for localhost, in files. */
export const selfSigned = (directory: string): { readonly cert: string; readonly key: string } => {
  const made = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") }
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  const { error, status, stderr } = spawnSync(
    "openssl",
    [...request.split(" "), ...names, "-keyout", made.key, "-out", made.cert],
    { encoding: "utf8" }
  )
  if (status !== 0) throw new Error(`openssl: ${error?.message ?? stderr}`)
  return made
}

/** How a declared server listens, by each kind of transport. */
export const listening = <Self, In, Out>(tag: Server.Tag<Self, In, Out>, home: string) => {
  const own = selfSigned(home)
  const path = join(home, "socket")
  type Place = (options?: Transport.ServerOptions) => Layer.Layer<Self, ServerError>
  const all: Readonly<Record<"tcp" | "tls" | "unix" | "memory", Place>> = {
    tcp: (options = {}) => TcpServer.layer(tag, options),
    tls: (options = {}) => TlsServer.layer(tag, { ...options, ...own }),
    unix: (options = {}) => UnixServer.layer(tag, { ...options, path }),
    memory: (options = {}) => MemoryServer.layer(tag, options)
  }
  return { all, own, path }
}

/** The counts that are not zero. */
export const some = (all: object): Record<string, number> =>
  Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))

/** Turns the event loop until something holds; the test's own time bounds it. */
export const until = <R>(holds: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  Effect.flatMap(holds, (now) => (now ? Effect.void : Effect.andThen(turn, until(holds))))

export const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** What a server holds for all its peers, in bytes. */
export const heldBy = <Self, In, Out>(tag: Server.Tag<Self, In, Out>) =>
  Effect.map(
    tag,
    (server) =>
      (server as unknown as Record<symbol, { context: { budget: { total: number } } }>)[
        Symbol.for("@socketserver/core/Server/engine")
      ]!.context.budget.total
  )
