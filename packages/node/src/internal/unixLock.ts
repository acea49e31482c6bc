import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type * as fs from "node:fs"
import * as net from "node:net"
import { basename } from "node:path"

/**
 * Lets one server at a time look whether a path is stale and take it: between
 * `bind` and `listen` a fresh socket refuses as a stale one does.
 *
 * The lock is an abstract name, which is gone with whoever holds it. Who cannot
 * have it in time goes on without: it is held for milliseconds, so that only
 * somebody who means harm holds it for long.
 */
export const exclusively = <A, E>(path: string, directory: fs.Stats, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  // Other platforms have no abstract names.
  process.platform === "linux"
    ? Effect.acquireUseRelease(
        lock(`\0socketserver-${nameOf(path, directory)}`),
        () => use,
        (held) => Effect.sync(() => held?.close())
      )
    : use

/** Has a name from now on, until what is returned is closed; undefined where somebody else has it. */
export const take = (name: string): Promise<net.Server | undefined> =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy()).unref()
    server.once("error", () => resolve(undefined))
    server.listen({ path: `\0socketserver-${name}` }, () => resolve(server))
  })

const nameOf = (path: string, { dev, ino }: fs.Stats): string =>
  createHash("sha256")
    .update(`${dev}:${ino}:${basename(path)}`)
    .digest("hex")

const lock = (name: string): Effect.Effect<net.Server | undefined> =>
  Effect.callback((resume) => {
    let left = attempts
    let timer: NodeJS.Timeout | undefined
    let server: net.Server
    const attempt = () => {
      server = net.createServer((socket) => socket.destroy())
      server.once("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "EADDRINUSE" || --left === 0) return resume(Effect.succeed(undefined))
        timer = setTimeout(attempt, everyMillis)
      })
      server.listen({ path: name }, () => resume(Effect.succeed(server)))
    }
    attempt()
    return Effect.sync(() => {
      clearTimeout(timer)
      server.close()
    })
  })

const everyMillis = 10
const attempts = 200
