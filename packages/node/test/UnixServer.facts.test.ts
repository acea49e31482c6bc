import { assert, describe, it } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { BindFailed } from "@socketserver/core/ServerError"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as libc from "../src/internal/libc.ts"
import { UnixDatagram } from "../src/internal/unixDatagram.ts"

const elsewhere = process.platform !== "linux"
if (elsewhere) console.log("skipped: these sockets are there on Linux only")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))
const served = (path: string, options?: Partial<UnixServer.UnixServerOptions>, handler = echo) =>
  Layer.provideMerge(Lines.serve(handler), UnixServer.layer(Lines, { ...options, path }))
const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unix-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const bindFailure = (path: string) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(UnixServer.layer(Lines, { path })))), (error) => {
    assert.strictEqual(error.message, error.reason.message)
    return error.reason as BindFailed
  })

/** A socket whose server died without removing it. */
const leaveStale = (path: string): void => {
  const code = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
  spawnSync(process.execPath, ["-e", code])
  assert.isTrue(fs.lstatSync(path).isSocket())
}

const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

describe("a Unix socket", () => {
  it.live("is its owner's alone unless a mode says otherwise, and the process's mask is left as it was", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const before = process.umask()
      const modeOf = Effect.sync(() => fs.lstatSync(path).mode & 0o777)
      assert.strictEqual(yield* Effect.provide(modeOf, served(path)), 0o600)
      assert.strictEqual(yield* Effect.provide(modeOf, served(path, { mode: 0o666 })), 0o666)
      assert.strictEqual(process.umask(), before)
    })
  )

  it.live("may be in a directory that is a link, as /var/run is", () =>
    Effect.gen(function* () {
      const real = yield* directory
      const link = `${real}/link`
      fs.mkdirSync(`${real}/real`)
      fs.symlinkSync(`${real}/real`, link)
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(`${link}/s`)), "hello")
      assert.deepStrictEqual(fs.readdirSync(`${real}/real`), [])
      fs.symlinkSync(`${real}/loop`, `${real}/loop`)
      assert.match((yield* bindFailure(`${real}/loop/s`)).message, /ELOOP/)
    })
  )

  it.live("is removed when its server stops", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      assert.isFalse(fs.existsSync(path))
    })
  )

  it.live("is replaced when a dead server has left it behind", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      leaveStale(path)
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("is never taken from a live server", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const failed = yield* bindFailure(path)
        assert.strictEqual(failed.kind, "AddressInUse")
        assert.match(
          failed.message,
          /^Cannot bind unix:\/\/.*\/s: address in use by this very program, which provides Lines twice; /
        )
        assert.strictEqual(yield* ask("still here"), "still here")
      }).pipe(Effect.provide(served(path)))
    })
  )

  it.live.skipIf(elsewhere)("is never taken from a live datagram socket, and is replaced when that is dead", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const socket = Result.getOrThrow(UnixDatagram.open(yield* libc.load, 1))
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
      assert.isUndefined(socket.bind(path))
      assert.strictEqual((yield* bindFailure(path)).kind, "AddressInUse")
      socket.close()
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("goes to one of two servers that find the same dead one", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      leaveStale(path)
      const exits = yield* Effect.all(
        [1, 2, 3].map(() => Effect.exit(Layer.build(UnixServer.layer(Lines, { path })))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(exits.map((exit) => exit._tag).toSorted(), ["Failure", "Failure", "Success"])
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s"])
    })
  )

  it.live("is left to another server that has put its own there meanwhile", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const other = net.createServer((socket) => socket.end("other"))
      yield* Effect.gen(function* () {
        fs.unlinkSync(path)
        yield* Effect.callback<void>((resume) => void other.listen(path, () => resume(Effect.void)))
      }).pipe(Effect.provide(served(path)))
      const answer = yield* Effect.callback<string>((resume) => {
        net.connect(path).on("data", (data) => resume(Effect.succeed(String(data))))
      })
      assert.strictEqual(answer, "other")
      yield* Effect.callback<void>((resume) => void other.close(() => resume(Effect.void)))
    })
  )

  it.live("is not put where a file, no directory, or no room is", () =>
    Effect.gen(function* () {
      const here = yield* directory
      fs.writeFileSync(join(here, "file"), "keep me")
      const file = yield* bindFailure(join(here, "file"))
      assert.strictEqual(file.kind, "NotASocket")
      assert.strictEqual(fs.readFileSync(join(here, "file"), "utf8"), "keep me")
      assert.strictEqual((yield* bindFailure(join(here, "nowhere", "s"))).kind, "NoDirectory")
      const long = yield* bindFailure(join(here, "x".repeat(108)))
      assert.strictEqual(long.kind, "PathTooLong")
      assert.include(long.message, "at most 107 bytes")
      const fits = join(here, "x".repeat(107 - Buffer.byteLength(here) - 1))
      assert.strictEqual(yield* Effect.provide(ask("fits"), served(fits)), "fits")
    })
  )

  it.live(
    "leaks no descriptor and no path over 256 failing binds",
    () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "s")
        yield* Effect.gen(function* () {
          yield* bindFailure(path)
          const before = yield* descriptors
          for (let i = 0; i < 256; i++) yield* bindFailure(path)
          assert.isAtMost(yield* descriptors, before)
          assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s"])
        }).pipe(Effect.provide(served(path)))
      }),
    60_000
  )

  it.live("may have an abstract name, which is gone with its server", () =>
    Effect.gen(function* () {
      const endpoint = `unix:@socketserver-test-${process.pid}`
      const layer = () => Layer.provideMerge(Lines.serve(echo), NodeServer.layer(Lines, endpoint))
      const test = Effect.gen(function* () {
        assert.strictEqual(String((yield* Lines).address), endpoint)
        const client = yield* NodeClient.connect(Lines, endpoint)
        assert.strictEqual(yield* client.send("hello"), "hello")
        const taken = yield* Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, endpoint))))
        assert.strictEqual((taken.reason as BindFailed).kind, "AddressInUse")
      }).pipe(Effect.scoped)
      yield* Effect.provide(test, layer())
      yield* Effect.provide(test, layer())
    })
  )

  it.live("names its peers", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const who: Handler.Handler<string, string> = ({ peer }) =>
        Effect.succeed(Response.make(`${peer.transport} ${peer.name} ${peer.address}`))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* ask("?"), `unix unix://${path}#1 undefined`)
        assert.strictEqual(yield* ask("?"), `unix unix://${path}#2 undefined`)
      }).pipe(Effect.provide(served(path, {}, who)))
    })
  )
})
