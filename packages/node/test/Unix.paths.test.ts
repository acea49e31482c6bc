/** What can happen to a socket's path while its server runs: a stop ends in time, tells it in one line, and touches nothing that is not its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

/** A directory of a test, in which `run` is the socket's, and `run/s` its path. */
const directory = Effect.acquireRelease(
  Effect.sync(() => {
    const root = fs.mkdtempSync(join(tmpdir(), "unix-"))
    fs.mkdirSync(join(root, "run"))
    return root
  }),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true }))
)

interface Change {
  readonly what: string
  readonly change: (run: string, path: string) => unknown
  /** What is told, if anything is. */
  readonly told?: RegExp
  /** What has to be as it was put there. */
  readonly kept?: (run: string, path: string) => unknown
}

const changes: ReadonlyArray<Change> = [
  { what: "stays as it is", change: () => {}, kept: (_, path) => !fs.existsSync(path) },
  { what: "is removed", change: (_, path) => fs.unlinkSync(path), told: /its path was gone already/ },
  {
    what: "is removed with its directory",
    change: (run) => fs.rmSync(run, { recursive: true }),
    told: /its path was gone already/
  },
  {
    what: "is replaced by a file",
    change: (_, path) => (fs.unlinkSync(path), fs.writeFileSync(path, "precious")),
    told: /something else by now, which stays/,
    kept: (_, path) => fs.readFileSync(path, "utf8") === "precious"
  },
  {
    what: "is replaced by a link",
    change: (_, path) => (fs.unlinkSync(path), fs.symlinkSync("/etc/passwd", path)),
    told: /something else by now, which stays/,
    kept: (_, path) => fs.readlinkSync(path) === "/etc/passwd" && fs.existsSync("/etc/passwd")
  },
  {
    what: "is replaced by a directory",
    change: (_, path) => (fs.unlinkSync(path), fs.mkdirSync(path)),
    told: /something else by now, which stays/,
    kept: (_, path) => fs.statSync(path).isDirectory()
  },
  {
    what: "has a file in its directory's place",
    change: (run) => (fs.rmSync(run, { recursive: true }), fs.writeFileSync(run, "precious")),
    told: /its path stays: ENOTDIR/,
    kept: (run) => fs.readFileSync(run, "utf8") === "precious"
  },
  {
    what: "has a link to itself in its directory's place",
    change: (run) => (fs.rmSync(run, { recursive: true }), fs.symlinkSync(run, run)),
    told: /its path stays: ELOOP/,
    kept: (run) => fs.readlinkSync(run) === run
  }
]

const kinds = [
  { kind: "unix", layer: (path: string) => UnixServer.layer(Echo, { path }) },
  {
    kind: "unixgram",
    layer: (path: string) => UnixDatagramServer.layer(Echo, { path }),
    skip: process.platform !== "linux"
  }
].filter(({ kind }) => kind === "unix" || process.platform === "linux")

describe.each(kinds)("a $kind server whose path", ({ kind, layer }) => {
  it.live.each([...changes])("$what stops at once, with what it has to tell", ({ change, kept, told }) =>
    Effect.gen(function* () {
      const root = yield* directory
      const run = join(root, "run")
      const path = join(run, "s")
      const served = Layer.provideMerge(
        Echo.serve((request) => Effect.succeed(Response.make(request.body))),
        layer(path)
      )
      const report = yield* Effect.gen(function* () {
        const server = yield* Echo
        change(run, path)
        return yield* server.shutdown
      }).pipe(Effect.provide(served))
      assert.isBelow(report.millis, 5_000)
      assert.strictEqual(report.problems?.length, told === undefined ? undefined : 1)
      if (told !== undefined) {
        const [line = ""] = report.problems ?? []
        assert.include(line, `when ${kind}://${path} was closed: `)
        assert.match(line, told)
      }
      if (kept !== undefined) assert.isTrue(kept(run, path))
    }).pipe(Effect.scoped)
  )

  it.live("is another server's by now leaves it that", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "run", "s")
      const other = net.createServer()
      yield* Effect.gen(function* () {
        const server = yield* Echo
        fs.unlinkSync(path)
        yield* Effect.promise(() => new Promise<void>((listening) => other.listen(path, listening)))
        yield* server.shutdown
        assert.isTrue(fs.lstatSync(path).isSocket())
      }).pipe(Effect.provide(layer(path)))
      yield* Effect.promise(() => new Promise<void>((closed) => other.close(() => closed())))
    }).pipe(Effect.scoped)
  )
})
