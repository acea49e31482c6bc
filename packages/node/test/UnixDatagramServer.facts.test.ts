import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { BindFailed, ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as FdServer from "@socketserver/node/FdServer"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Client from "@socketserver/core/Client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as libc from "../src/internal/libc.ts"
import { bindFailed } from "../src/internal/netServer.ts"
import { UnixDatagram } from "../src/internal/unixDatagram.ts"
import { inherit } from "../src/internal/unixgramServer.ts"
import * as unixPath from "../src/internal/unixPath.ts"
import { duplicate } from "./support/descriptors.ts"

const elsewhere = process.platform !== "linux"
if (elsewhere) console.log("skipped: these sockets are there on Linux only")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))
const served = (path: string, options?: Partial<UnixDatagramServer.UnixDatagramServerOptions>, handler = echo) =>
  Layer.provideMerge(Lines.serve(handler), UnixDatagramServer.layer(Lines, { ...options, path }))
const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unixgram-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const bindFailure = (path: string) =>
  Effect.map(
    Effect.flip(Effect.scoped(Layer.build(UnixDatagramServer.layer(Lines, { path })))),
    (error) => error.reason as BindFailed
  )

/** A socket of nobody's server. */
const raw = (name?: string | "auto") =>
  Effect.gen(function* () {
    const socket = Result.getOrThrow(UnixDatagram.open(yield* libc.load, 65_536))
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
    if (name !== undefined) assert.isUndefined(socket.bind(name === "auto" ? undefined : name))
    return socket
  })

const connected = (path: string, name?: string | "auto") =>
  Effect.tap(raw(name), (socket) => Effect.sync(() => assert.isUndefined(socket.connect(path))))

/** What happens on the server, from now on. */
const events = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Outcome.Event>()
  const server = yield* Lines
  const ready = Latch.makeUnsafe()
  yield* Stream.runForEach(Stream.onStart(server.outcomes, ready.open), (event) => Queue.offer(queue, event)).pipe(
    Effect.forkScoped
  )
  yield* ready.await
  yield* Effect.yieldNow
  return queue
})

const text = (data: string) => Buffer.from(data)
const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

describe.skipIf(elsewhere)("the path of a Unix datagram server", () => {
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

  it.live("is removed when the server stops", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("is replaced when a dead socket is there, of whatever type", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const stale = yield* raw(path)
      stale.close()
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      const stream = net.createServer()
      yield* Effect.callback<void>((resume) => void stream.listen(path, () => resume(Effect.void)))
      fs.renameSync(path, `${path}.kept`)
      yield* Effect.callback<void>((resume) => void stream.close(() => resume(Effect.void)))
      fs.renameSync(`${path}.kept`, path)
      assert.isTrue(fs.lstatSync(path).isSocket())
      assert.strictEqual(yield* Effect.provide(ask("hello"), served(path)), "hello")
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("is never taken from a live server, of whatever type", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const failed = yield* bindFailure(path)
        assert.strictEqual(failed.kind, "AddressInUse")
        assert.match(failed.message, /^Cannot bind unixgram:\/\/.*\/s: address in use by this very program/)
        assert.strictEqual(yield* ask("still here"), "still here")
      }).pipe(Effect.provide(served(path)))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* bindFailure(path)).kind, "AddressInUse")
        assert.isTrue(fs.lstatSync(path).isSocket())
      }).pipe(Effect.provide(UnixServer.layer(Lines, { path })))
      // One that talks to another only answers no knock; it is alive.
      const client = yield* raw(path)
      assert.isUndefined(client.connect(path))
      assert.strictEqual((yield* bindFailure(path)).kind, "AddressInUse")
    })
  )

  it.live("goes to one of three servers that find the same dead one", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const stale = yield* raw(path)
      stale.close()
      const exits = yield* Effect.all(
        [1, 2, 3].map(() => Effect.exit(Layer.build(UnixDatagramServer.layer(Lines, { path })))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(exits.map((exit) => exit._tag).toSorted(), ["Failure", "Failure", "Success"])
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s"])
    })
  )

  it.live("is left to another server that has put its own there meanwhile", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        fs.unlinkSync(path)
        yield* Effect.acquireRelease(
          Effect.sync(() => fs.writeFileSync(path, "another's")),
          () => Effect.void
        )
      }).pipe(Effect.scoped, Effect.provide(served(path)))
      assert.strictEqual(fs.readFileSync(path, "utf8"), "another's")
    })
  )

  it.live("is not put where a file, no directory, or no room is", () =>
    Effect.gen(function* () {
      const here = yield* directory
      fs.writeFileSync(join(here, "file"), "keep me")
      assert.strictEqual((yield* bindFailure(join(here, "file"))).kind, "NotASocket")
      assert.strictEqual(fs.readFileSync(join(here, "file"), "utf8"), "keep me")
      assert.strictEqual((yield* bindFailure(join(here, "nowhere", "s"))).kind, "NoDirectory")
      assert.strictEqual((yield* bindFailure(join(here, "x".repeat(108)))).kind, "PathTooLong")
      assert.strictEqual((yield* bindFailure(`@${"x".repeat(108)}`)).kind, "PathTooLong")
      const fits = join(here, "x".repeat(107 - Buffer.byteLength(here) - 1))
      assert.strictEqual(yield* Effect.provide(ask("fits"), served(fits)), "fits")
      const name = `@${process.pid}`.padEnd(108, "x")
      assert.strictEqual(yield* Effect.provide(ask("fits"), served(name)), "fits")
    })
  )

  it.live("is refused with a typed error, and nothing is left, where it or its mode is none", () =>
    Effect.gen(function* () {
      const here = yield* directory
      const failure = (layer: Layer.Layer<Lines, ServerError>) => Effect.flip(Effect.scoped(Layer.build(layer)))
      const before = yield* descriptors
      for (const { layer } of [UnixDatagramServer, UnixServer]) {
        for (const mode of [-1, 0.5, Number.NaN, 0o1000]) {
          const { message } = yield* failure(layer(Lines, { path: join(here, "s"), mode }))
          assert.strictEqual(
            message,
            `Invalid option mode of Lines: it must be an integer from 0 to 0o777, not ${mode}`
          )
        }
        // Whoever gives it one believes that it keeps others out.
        const { message } = yield* failure(layer(Lines, { path: "@abstract", mode: 0o600 }))
        assert.match(
          message,
          /^Invalid option mode of Lines: @abstract is an abstract name, which every local user may use/
        )
        assert.include(
          (yield* failure(layer(Lines, { path: "" }))).message,
          "Invalid option path of Lines: it is empty"
        )
      }
      assert.isAtMost(yield* descriptors, before)
      assert.deepStrictEqual(fs.readdirSync(here), [])
    })
  )

  it.live("is not touched if another server has taken it while it was looked at", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const stale = yield* raw(path)
      stale.close()
      const scope = yield* Effect.scope
      let ctime: bigint | undefined
      const refused = Object.assign(new Error(), { code: "ECONNREFUSED" })
      const error = yield* Effect.flip(
        unixPath.bind<UnixDatagram>({
          path,
          mode: 0o600,
          endpoint: `unixgram://${path}`,
          listen: () => Effect.fail(bindFailed(path, new Error("in use"), "AddressInUse")),
          knock: () =>
            Effect.gen(function* () {
              fs.unlinkSync(path)
              yield* raw(path)
              ctime = fs.lstatSync(path, { bigint: true }).ctimeNs
              return refused
            }).pipe(Effect.provideService(Scope.Scope, scope), Effect.orDie),
          leave: () => {}
        })
      )
      assert.strictEqual(error.reason._tag, "BindFailed")
      // Moving it aside, for however short, would let a third one bind there.
      assert.strictEqual(fs.lstatSync(path, { bigint: true }).ctimeNs, ctime)
    })
  )

  it.live("that is gone as soon as it is bound is an error, and its socket is closed", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const system = yield* libc.load
      const server = Result.getOrThrow(UnixDatagram.open(system, 1))
      const error = yield* Effect.flip(
        unixPath.bind<UnixDatagram>({
          path,
          mode: 0o600,
          endpoint: `unixgram://${path}`,
          // Another server that starts at the same moment has taken it aside to look whether it is stale.
          listen: () =>
            Effect.sync(() => {
              assert.isUndefined(server.bind(path))
              fs.renameSync(path, `${path}.aside`)
              return server
            }),
          knock: () => Effect.succeed(undefined),
          leave: () => {}
        })
      )
      assert.strictEqual(error.reason._tag, "BindFailed")
      assert.strictEqual(server.send(text("x")), "EBADF")
    })
  )

  it.live(
    "leaks no descriptor and no path over 258 failing binds",
    () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "s")
        const taken = `@socketserver-taken-${process.pid}`
        yield* raw(taken)
        yield* Effect.gen(function* () {
          const failing = Effect.forEach([path, taken, "/nowhere/s"], bindFailure)
          yield* failing
          const before = yield* descriptors
          for (let i = 0; i < 86; i++) yield* failing
          assert.isAtMost(yield* descriptors, before)
          assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s"])
        }).pipe(Effect.provide(served(path)))
      }),
    60_000
  )

  it.live("may be an abstract name, which is gone with its server", () =>
    Effect.gen(function* () {
      const endpoint = `unixgram:@socketserver-test-${process.pid}`
      const layer = () => Layer.provideMerge(Lines.serve(echo), NodeServer.layer(Lines, endpoint))
      const test = Effect.gen(function* () {
        assert.strictEqual(String((yield* Lines).address), endpoint)
        const client = yield* NodeClient.connect(Lines, endpoint)
        assert.strictEqual(yield* client.send("hello"), "hello")
        assert.strictEqual((yield* bindFailure(endpoint.slice("unixgram:".length))).kind, "AddressInUse")
      }).pipe(Effect.scoped)
      yield* Effect.provide(test, layer())
      yield* Effect.provide(test, layer())
    })
  )
})

describe.skipIf(elsewhere)("a Unix datagram server", () => {
  it.live("names its peers, and answers those that have an address", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const who: Handler.Handler<string, string> = ({ peer }) =>
        Effect.succeed(Response.make(`${peer.transport} ${peer.name} ${peer.address}`))
      yield* Effect.gen(function* () {
        assert.match(yield* ask("?"), /^unixgram unixgram:@[0-9a-f]{5} undefined$/)
        const bind = `${path}.client`
        const client = yield* Client.make(
          yield* NodeClient.wire(Endpoint.unixgram(path), { unixgram: { bind } }),
          Protocol.lines()
        )
        assert.include(yield* client.send("?"), `unixgram unixgram://${bind} ${bind}`)
        assert.strictEqual(fs.lstatSync(bind).mode & 0o777, 0o600)
      }).pipe(Effect.scoped, Effect.provide(served(path, {}, who)))
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("ends a reply as undelivered to who has no address, has left, and does not read", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const gate = Latch.makeUnsafe()
      const handler: Handler.Handler<string, string> = (request) =>
        request.body === "wait" ? Effect.andThen(gate.await, echo(request)) : echo(request)
      yield* Effect.gen(function* () {
        const queue = yield* events
        const reason = Effect.map(Queue.take(queue), ({ outcome }) => {
          assert(outcome._tag === "Undelivered", outcome._tag)
          return outcome.reason
        })
        const unnamed = yield* connected(path)
        unnamed.send(text("hello"))
        assert.strictEqual(yield* reason, "NoReturnAddress")
        const leaving = yield* connected(path, "auto")
        leaving.send(text("wait"))
        yield* until(Effect.map((yield* Lines).connections, (connections) => connections.length === 1))
        leaving.close()
        yield* gate.open
        assert.strictEqual(yield* reason, "PeerGone")
        const deaf = yield* raw(`${path}.deaf`)
        const address = Buffer.concat([Buffer.from([1, 0]), text(`${path}\0`)])
        let sent = 0
        let outcome: Outcome.Outcome = { _tag: "Completed" }
        while (outcome._tag === "Completed") {
          while (deaf.send(text(String(sent)), address) === "EAGAIN") yield* Effect.yieldNow
          sent++
          outcome = (yield* Queue.take(queue)).outcome
        }
        assert(outcome._tag === "Undelivered", outcome._tag)
        assert.strictEqual(outcome.reason, "PeerFull")
      }).pipe(Effect.scoped, Effect.provide(served(path, { sendTimeout: "20 millis" }, handler)))
    })
  )

  it.live("sends what waited for a peer once that reads, in order", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const peer = yield* raw(`${path}.peer`)
        const address = Buffer.concat([Buffer.from([1, 0]), text(`${path}\0`)])
        const got: Array<string> = []
        const all = Latch.makeUnsafe()
        peer.start({
          onMessage: (data) => {
            got.push(Buffer.from(data).toString())
            if (got.length === 100) all.openUnsafe()
          },
          onError: (error) => {
            throw error
          }
        })
        peer.pause()
        for (let i = 0; i < 100; i++) {
          while (peer.send(text(String(i)), address) === "EAGAIN") yield* Effect.yieldNow
        }
        yield* until(Effect.map((yield* Lines).connections, (waiting) => waiting.length > 80))
        peer.resume()
        yield* all.await
        assert.deepStrictEqual(got, [...Array(100).keys()].map(String))
        yield* until(Effect.map((yield* Lines).counts, ({ Completed }) => Completed === 100))
      }).pipe(Effect.scoped, Effect.provide(served(path, { sendTimeout: "1 minute" })))
    })
  )

  it.live("answers a peer whose name looks like that of one that does not read", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const address = Buffer.concat([Buffer.from([1, 0]), text(`${path}\0`)])
      const name = `@socketserver-alike-${process.pid}`
      yield* Effect.gen(function* () {
        const server = yield* Lines
        const deaf = yield* raw(`${name}\u0001`)
        // More than a queue ever has room for: the rest waits at the server.
        for (let i = 0; i < 600; i++) while (deaf.send(text("x"), address) === "EAGAIN") yield* turn
        yield* until(Effect.map(server.connections, (connections) => connections.length > 50))
        const alike = yield* raw(`${name}\\x01`)
        const answered = Latch.makeUnsafe()
        alike.start({ onMessage: () => answered.openUnsafe(), onError: () => {} })
        while (alike.send(text("hello"), address) === "EAGAIN") yield* turn
        yield* answered.await
      }).pipe(Effect.scoped, Effect.provide(served(path, { sendTimeout: "1 minute", drainTimeout: "1 milli" })))
    })
  )

  it.live("answers who reads, however many do not", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const options = { sendTimeout: "1 minute", sendBufferBytes: 65_536, drainTimeout: "1 milli" } as const
      yield* Effect.gen(function* () {
        const server = yield* Lines
        const reader = yield* Lines.client
        assert.strictEqual(yield* reader.send("before"), "before")
        for (let i = 0; i < 300; i++) {
          const deaf = yield* connected(path, "auto")
          for (let j = 0; j < 10; j++) while (deaf.send(text("x")) === "EAGAIN") yield* turn
        }
        // Far more than the buffer has room for.
        yield* until(Effect.map(server.connections, (connections) => connections.length > 2_000))
        for (let i = 0; i < 20; i++) assert.strictEqual(yield* reader.send(`${i}`), `${i}`)
      }).pipe(Effect.scoped, Effect.provide(served(path, options)))
    })
  )

  it.live("waits for more peers than it has sockets to watch, and keeps none of these", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const address = Buffer.concat([Buffer.from([1, 0]), text(`${path}\0`)])
      yield* Effect.gen(function* () {
        const server = yield* Lines
        const got: Array<number> = []
        const peers = yield* Effect.forEach([...Array(200).keys()], (i) =>
          Effect.map(raw("auto"), (socket) => {
            got.push(0)
            socket.start({ onMessage: () => got[i]!++, onError: () => {} })
            socket.pause()
            return socket
          })
        )
        const before = yield* descriptors
        for (const peer of peers) {
          for (let i = 0; i < 20; i++) {
            while (peer.send(text(String(i)), address) === "EAGAIN") yield* turn
          }
        }
        // Each holds what the kernel lets it; the rest waits.
        yield* until(Effect.map(server.connections, (waiting) => waiting.length > 200))
        assert.isAbove(yield* descriptors, before)
        for (const peer of peers) peer.resume()
        yield* until(Effect.map(server.counts, ({ Completed }) => Completed === 4_000))
        yield* until(Effect.sync(() => got.every((count) => count === 20)))
        // The one that the kernel tells of unread datagrams stays.
        yield* until(Effect.map(descriptors, (now) => now <= before + 1))
      }).pipe(Effect.scoped, Effect.provide(served(path, { sendTimeout: "1 minute" })))
    })
  )

  it.live("reads no more than it may answer, and loses nothing of what it leaves to the kernel", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const gate = Latch.makeUnsafe()
      const handler: Handler.Handler<string, string> = (request) => Effect.andThen(gate.await, echo(request))
      yield* Effect.gen(function* () {
        const client = yield* Lines.client
        const answers = yield* Effect.forkChild(Effect.forEach([...Array(50).keys()], () => client.take))
        for (let i = 0; i < 50; i++) yield* client.write(String(i))
        const server = yield* Lines
        yield* until(Effect.map(server.connections, (connections) => connections.length === 4))
        yield* gate.open
        assert.deepStrictEqual(yield* Fiber.join(answers), [...Array(50).keys()].map(String))
        const { Completed, Refused } = yield* server.counts
        assert.deepStrictEqual({ Completed, Refused }, { Completed: 50, Refused: 0 })
      }).pipe(Effect.scoped, Effect.provide(served(path, { maxConnections: 4 }, handler)))
    })
  )

  it.live("counts a datagram that is too long as refused", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const queue = yield* events
        const client = yield* Lines.client
        yield* client.write("123456789")
        const { outcome, request } = yield* Queue.take(queue)
        assert(outcome._tag === "Refused", outcome._tag)
        assert.strictEqual(outcome.reason, "a datagram of 9 bytes, more than 8")
        assert.isUndefined(request)
        assert.strictEqual(yield* client.send("12345678"), "12345678")
      }).pipe(Effect.scoped, Effect.provide(served(path, { maxDatagramBytes: 8 })))
    })
  )

  it.live("answers at a stop what the kernel holds, and is found by nobody any more", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const client = yield* connected(path, "auto")
        const got: Array<string> = []
        client.start({ onMessage: (data) => got.push(Buffer.from(data).toString()), onError: () => {} })
        for (const line of ["1", "2", "3"]) assert.isUndefined(client.send(text(line)))
        const { completed } = yield* (yield* Lines).shutdown
        assert.strictEqual(completed, 3)
        client.readAll()
        assert.deepStrictEqual(got, ["1", "2", "3"])
        assert.strictEqual(client.send(text("4")), "ECONNREFUSED")
      }).pipe(Effect.scoped, Effect.provide(served(path)))
    })
  )

  it.live("answers at a stop what it has held back, and reads nothing that comes later", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const gates: Record<string, Latch.Latch> = { first: Latch.makeUnsafe(), second: Latch.makeUnsafe() }
      const handler: Handler.Handler<string, string> = (request) =>
        Effect.andThen(gates[request.body]?.await ?? Effect.void, echo(request))
      yield* Effect.gen(function* () {
        const client = yield* connected(path, "auto")
        const server = yield* Lines
        const open = (count: number) => until(Effect.map(server.connections, (all) => all.length === count))
        for (const line of ["first", "second"]) assert.isUndefined(client.send(text(line)))
        yield* open(2)
        // The server may have two requests, so these stay in the kernel.
        for (const line of ["held 1", "held 2"]) assert.isUndefined(client.send(text(line)))
        const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
        assert.isFalse(fs.existsSync(path))
        yield* gates["first"]!.open
        yield* open(1)
        assert.isUndefined(client.send(text("late")))
        yield* Effect.repeat(turn, { times: 5 })
        yield* gates["second"]!.open
        const { completed, counts } = yield* Fiber.join(stopping)
        assert.deepStrictEqual([completed, counts.Refused], [4, 0])
      }).pipe(Effect.scoped, Effect.provide(served(path, { maxConnections: 2 }, handler)))
    })
  )

  it.live("answers at a stop what it has held back since accepting was suspended", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const client = yield* connected(path, "auto")
        const { control, counts, shutdown } = yield* Lines
        yield* control.suspend
        for (const line of ["held 1", "held 2"]) assert.isUndefined(client.send(text(line)))
        yield* Effect.repeat(turn, { times: 5 })
        assert.strictEqual((yield* counts).Completed, 0)
        const report = yield* shutdown
        assert.deepStrictEqual([report.completed, report.counts.Refused], [2, 0])
      }).pipe(Effect.scoped, Effect.provide(served(path)))
    })
  )

  for (const when of ["full", "idle"]) {
    it.live(`leaves at a stop what waits in a socket that it has inherited, for whoever has that next (${when})`, () =>
      Effect.gen(function* () {
        const system = yield* libc.load
        const name = `\0inherited-${when}-${process.pid}`
        const fd = system.socket(1, 2, 0)
        const address = Buffer.concat([Buffer.from([1, 0]), text(name)])
        assert.strictEqual(system.bind(fd, address, address.length), 0)
        const keeper = duplicate(fd)
        const gate = Latch.makeUnsafe()
        const handler: Handler.Handler<string, string> = (request) => Effect.andThen(gate.await, echo(request))
        yield* Effect.gen(function* () {
          const client = yield* connected(`@${name.slice(1)}`, "auto")
          const server = yield* Lines
          if (when === "full") {
            assert.isUndefined(client.send(text("first")))
            yield* until(Effect.map(server.connections, (all) => all.length === 1))
          }
          for (const line of ["held 1", "held 2"]) assert.isUndefined(client.send(text(line)))
          const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
          yield* gate.open
          const { completed, counts } = yield* Fiber.join(stopping)
          assert.deepStrictEqual([completed, counts.Refused], [when === "full" ? 1 : 0, 0])
        }).pipe(
          Effect.scoped,
          Effect.provide(Layer.provideMerge(Lines.serve(handler), FdServer.layer(Lines, { fd, maxConnections: 1 })))
        )
        const next = Result.getOrThrow(UnixDatagram.adopt(system, keeper, 64))
        const got: Array<string> = []
        next.start({ onMessage: (data) => got.push(Buffer.from(data).toString()), onError: () => {} })
        next.readAll()
        next.close()
        assert.deepStrictEqual(got, ["held 1", "held 2"])
      })
    )
  }

  it.live("may be one of several listeners, or inherit a socket, whose path it leaves alone", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const system = yield* libc.load
      const fd = system.socket(1, 2, 0)
      const address = Buffer.concat([Buffer.from([1, 0]), text(`${path}.inherited\0`)])
      assert.strictEqual(system.bind(fd, address, address.length), 0)
      const transport = Transport.layer(Lines, {}, [
        UnixDatagramServer.listen({ path }),
        FdServer.listen({ fd, unixgram: { maxDatagramBytes: 6 } }),
        UnixServer.listen({ path: `${path}.stream` })
      ])
      yield* Effect.gen(function* () {
        for (const url of [`unixgram://${path}`, `unixgram://${path}.inherited`, `unix://${path}.stream`]) {
          const client = yield* NodeClient.connect(Lines, url)
          assert.strictEqual(yield* client.send("hello"), "hello")
        }
        const client = yield* NodeClient.connect(Lines, `unixgram://${path}.inherited`)
        yield* client.write("more than six bytes")
        yield* until(Effect.map((yield* Lines).counts, ({ Refused }) => Refused === 1))
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(echo), transport)))
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s.inherited"])
      const stream = system.socket(1, 1, 0)
      const refused = Transport.layer(Lines, {}, inherit(stream))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(refused)))
      assert.match(error.message, /^Cannot bind fd:\/\/\d+: .*EPROTOTYPE/)
      system.close(stream)
    })
  )

  it.live("drops what an inherited socket gets from elsewhere than the networks that are allowed", () =>
    Effect.gen(function* () {
      const system = yield* libc.load
      const fd = system.socket(1, 2, 0)
      const address = Buffer.concat([Buffer.from([1, 0]), text(`\0inherited-${process.pid}`)])
      assert.strictEqual(system.bind(fd, address, address.length), 0)
      yield* Effect.gen(function* () {
        const queue = yield* events
        const client = yield* Lines.client
        yield* client.write("let me in")
        assert.deepStrictEqual((yield* Queue.take(queue)).outcome, { _tag: "Refused", kind: "Allow", reason: "allow" })
      }).pipe(Effect.scoped, Effect.provide(FdServer.layer(Lines, { fd, allow: ["10.0.0.0/8"] })))
    })
  )

  it.live("refuses options that cannot be used, before it binds anything", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      for (const options of [{ sendTimeout: 0 }, { maxDatagramBytes: 0 }, { sendBufferBytes: 1.5 }]) {
        const error = yield* Effect.flip(
          Effect.scoped(Layer.build(UnixDatagramServer.layer(Lines, { ...options, path })))
        )
        assert.include(error.message, `Invalid option ${Object.keys(options)[0]}`)
      }
      for (const query of ["sendTimeout=0", "maxDatagramBytes=x", "mode=9", "receiveBufferBytes=1"]) {
        const endpoint = `unixgram://${path}?${query}`
        const error = yield* Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, endpoint))))
        assert.strictEqual(error.reason._tag, "InvalidEndpoint")
      }
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
      const endpoint = `unixgram://${path}?mode=660&sendTimeout=2%20seconds`
      const mode = Effect.sync(() => fs.lstatSync(path).mode & 0o777)
      assert.strictEqual(yield* Effect.provide(mode, NodeServer.layer(Lines, endpoint)), 0o660)
    })
  )
})

describe.skipIf(elsewhere)("a Unix datagram client", () => {
  it.live("fails where nobody is, and says why", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const failure = (path: string) =>
        Effect.flip(Effect.scoped(NodeClient.wire(Endpoint.unixgram(path)))).pipe(Effect.map((error) => error.message))
      const refused = `Cannot connect to unixgram://${path}: nothing listens there`
      assert.strictEqual(yield* failure(path), refused)
      const stale = yield* raw(path)
      stale.close()
      assert.strictEqual(yield* failure(path), refused)
      assert.include(yield* failure("x".repeat(108)), "at most 107 bytes")
      fs.unlinkSync(path)
      const stream = yield* Effect.provide(failure(path), UnixServer.layer(Lines, { path }))
      assert.include(stream, "EPROTOTYPE")
    })
  )

  it.live("has the path that its URL gives it, unless that is taken, and leaves none behind", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const bind = `${path}.client`
        const url = `unixgram://${path}?bind=${bind}&mode=660&sendTimeout=1%20second`
        const client = yield* NodeClient.connect(Lines, url)
        assert.strictEqual(yield* client.send("hello"), "hello")
        assert.strictEqual(fs.lstatSync(bind).mode & 0o777, 0o660)
        const taken = yield* Effect.flip(NodeClient.connect(Lines, url))
        assert.match(taken.message, /^Cannot connect to unixgram:.*: Cannot bind unixgram:.*\.client: address in use/)
        assert.strictEqual(yield* client.send("still here"), "still here")
        const other = { unixgram: { bind: `${path}.other`, mode: 0o600 } }
        assert.include((yield* Effect.flip(NodeClient.connect(Lines, url, other))).message, "address in use")
        yield* NodeClient.connect(Lines, `unixgram://${path}?mode=640`, other)
        assert.strictEqual(fs.lstatSync(`${path}.other`).mode & 0o777, 0o640)
        const refused = yield* Effect.flip(NodeClient.connect(Lines, `unixgram://${path}?maxConnections=1`))
        assert.include(refused.message, "bind=, mode=, sendTimeout=, maxDatagramBytes=")
      }).pipe(Effect.scoped, Effect.provide(served(path)))
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), [])
    })
  )

  it.live("is told when its server has left", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const client = yield* Effect.provide(
        Effect.gen(function* () {
          const client = yield* NodeClient.connect(Lines, `unixgram://${path}`)
          assert.strictEqual(yield* client.send("hello"), "hello")
          return client
        }),
        served(path)
      )
      const { reason } = yield* Effect.flip(client.send("are you there?"))
      assert(reason._tag === "Reset", reason._tag)
      assert.include((reason.cause as Error).message, "ECONNREFUSED")
    }).pipe(Effect.scoped)
  )

  it.live("holds its server back while nobody reads, and loses nothing", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const many: Handler.Handler<string, string> = () =>
        Effect.succeed(Response.stream(Stream.map(Stream.range(1, 3_000), String)))
      yield* Effect.gen(function* () {
        const client = yield* Lines.client
        yield* client.write("go")
        assert.strictEqual(yield* client.take, "1")
        yield* until(Effect.map((yield* Lines).connections, ([it]) => it !== undefined && it.bytesWritten > 500))
        for (let i = 2; i <= 3_000; i++) assert.strictEqual(yield* client.take, String(i))
      }).pipe(Effect.scoped, Effect.provide(served(path, { sendTimeout: "1 minute" }, many)))
    })
  )

  it.live("refuses options that cannot be used, before it binds anything", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* raw(path)
      for (const options of [
        { sendTimeout: Infinity },
        { sendTimeout: "rubbish" as never },
        { maxDatagramBytes: 0 },
        { maxDatagramBytes: 2 ** 40 }
      ]) {
        const client = NodeClient.wire(Endpoint.unixgram(path), { unixgram: { ...options, bind: `${path}.client` } })
        const { message } = yield* Effect.flip(Effect.scoped(client))
        assert.include(message, `Invalid option ${Object.keys(options)[0]}`)
      }
      assert.deepStrictEqual(fs.readdirSync(join(path, "..")), ["s"])
    })
  )

  it.live("waits longer for a server than a timer of Node's can", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* raw(path)
      const wire = yield* NodeClient.wire(Endpoint.unixgram(path), { unixgram: { sendTimeout: "30 days" } })
      const client = yield* Client.make(wire, Protocol.bytes())
      // More than the server's queue ever has room for.
      const writing = yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: 600 }), () => client.write(new Uint8Array(1))),
        { startImmediately: true }
      )
      // A timer that does not fit fires after a millisecond, before one of five.
      yield* Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 5))
      let heard = 0
      server.start({ onMessage: () => heard++, onError: () => {} })
      yield* Fiber.join(writing)
      yield* until(Effect.sync(() => heard === 600))
    }).pipe(Effect.scoped)
  )

  it.live("gives up after a while on a server that does not read", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* raw(path)
      const wire = yield* NodeClient.wire(Endpoint.unixgram(path), { unixgram: { sendTimeout: "20 millis" } })
      const client = yield* Client.make(wire, Protocol.bytes())
      const { reason } = yield* Effect.flip(Effect.forever(client.write(new Uint8Array(1_000))))
      assert.strictEqual(reason._tag, "Closed")
    }).pipe(Effect.scoped)
  )
})

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Looks again in each turn of the event loop. */
const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(turn, until(condition))))
