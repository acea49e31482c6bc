/** Peers over real sockets that read slowly, write while the other end closes, and reset at every moment. */
import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import { afterAll } from "vitest"
import { missing, python } from "./support/programs.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

const portOf = (server: Server.Server<never, never>) => (server.address as Endpoint.Tcp).port
const linesPort = Effect.map(Lines, (server) => portOf(server as never))

const served = (handler: Handler.Handler<string, string>, options?: TcpServer.TcpServerOptions) =>
  Layer.provideMerge(Lines.serve(handler), TcpServer.layer(Lines, { maxReply: "32MiB", ...options })).pipe(
    Layer.provide(Logger.layer([]))
  )

const noPython = missing("python3")
const large = "x".repeat(24 * 1024 * 1024)

// They wait most of the time, and do not meet.
describe.skipIf(noPython).concurrent("a peer that reads slowly, but reads", () => {
  // Each takes some six seconds to read, more than the server's limits together, and never pauses for as long as one.
  it.live.each([
    {
      when: "after it has half-closed",
      options: {},
      answer: Response.make(large),
      asks: "s.sendall(b'all\\n'); s.shutdown(socket.SHUT_WR)"
    },
    {
      when: "before the connection closes",
      options: {},
      answer: Response.andClose(Response.make(large)),
      asks: "s.sendall(b'all\\n')"
    },
    {
      when: "for longer than a connection may be idle",
      options: { idleTimeout: "2 seconds" } as const,
      answer: Response.make(large),
      asks: "s.sendall(b'all\\n')"
    }
  ])("gets the whole answer $when", ({ answer, asks, options }) =>
    Effect.gen(function* () {
      const client = yield* python(
        `${yield* linesPort}`,
        `
import time
s = connect()
${asks}
got = 0
while got < ${large.length + 1}:
    chunk = s.recv(65536)
    if not chunk: break
    got += len(chunk)
    time.sleep(0.015)
print("got", got, flush=True)
`
      )
      const [, got] = yield* client.prints(/got (\d+)/)
      assert.strictEqual(Number(got), large.length + 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(served(() => Effect.succeed(answer), { drainTimeout: "2 seconds", ...options }))
    )
  )
})

describe.skipIf(noPython || process.platform !== "linux").concurrent("a peer that reads slowly", () => {
  // The system takes more by a third of its buffer at a time, a megabyte and more: of that none is seen here.
  it.live.each([
    { when: "writeTimeout", answer: Response.make(large), options: { writeTimeout: "2 seconds" } as const },
    {
      when: "a close that nobody waits for",
      answer: Response.andClose(Response.make(large)),
      options: { drainTimeout: "2 seconds" } as const
    }
  ])("is left alone by $when though the system takes no more for so long", ({ answer, options }) =>
    Effect.gen(function* () {
      const client = yield* python(
        `${yield* linesPort}`,
        `
import time
s = connect()
s.sendall(b'all\\n')
got, end = 0, time.time() + 5
while time.time() < end:
    chunk = s.recv(65536)
    if not chunk: break
    got += len(chunk)
    time.sleep(0.2)
print("slow", got, time.time() >= end, flush=True)
while True:
    chunk = s.recv(1 << 20)
    if not chunk: break
    got += len(chunk)
    if got > ${large.length}: break
print("got", got, flush=True)
`
      )
      const [, got] = yield* client.prints(/got (\d+)/)
      assert.strictEqual(Number(got), large.length + 1)
    }).pipe(Effect.scoped, Effect.provide(served(() => Effect.succeed(answer), options)))
  )
})

describe("a write", () => {
  it.live("is done when its bytes have left, although its connection was half-closed meanwhile", () => {
    const writing = Deferred.makeUnsafe<Fiber.Fiber<unknown, unknown>>()
    const handler: Handler.Handler<
      typeof Talk extends { readonly protocol: Protocol.Protocol<infer In, never, never, unknown> } ? In : never,
      never
    > = ({ body }) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(body.write(large), { startImmediately: true })
        yield* Deferred.succeed(writing, fiber)
        yield* body.end
        yield* Effect.orDie(Stream.runDrain(body.stream))
        return Response.empty
      })
    return Effect.gen(function* () {
      const port = portOf((yield* Talk) as never)
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })),
        (socket) => Effect.sync(() => socket.destroy())
      )
      let read = 0
      socket.on("data", (chunk) => {
        read += chunk.length
      })
      yield* Effect.callback<void>((resume) => {
        socket.once("end", () => resume(Effect.void))
      })
      assert.strictEqual(read, large.length + 1)
      yield* Fiber.join(yield* Deferred.await(writing)).pipe(Effect.timeout("5 seconds"))
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Talk.serve(handler), TcpServer.layer(Talk, { maxReply: "32MiB" })))
    )
  })
})

describe("a reset", () => {
  const home = fs.mkdtempSync(`${os.tmpdir()}/hostile-`)
  afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

  it.live("ends a connection over a Unix socket too", () => {
    const path = `${home}/socket`
    const layer = Layer.provideMerge(
      Talk.serve(({ body }) => Effect.andThen(body.reset, Effect.never)),
      UnixServer.layer(Talk, { path })
    )
    return Effect.gen(function* () {
      const server = yield* Talk
      const outcomes = yield* Queue.unbounded<Outcome.Outcome>()
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(outcomes, outcome)),
        { startImmediately: true }
      )
      const client = yield* Talk.client
      yield* Effect.flip(client.take)
      assert.strictEqual((yield* Queue.take(outcomes))._tag, "Cancelled")
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provide(Logger.layer([])))
  })
})

describe("a thousand peers that reset, half-close or leave at any moment", () => {
  const handler: Handler.Handler<string, string> = ({ body }) => {
    switch (body) {
      case "stream":
        return Effect.succeed(Response.stream(Stream.forever(Stream.succeed("y".repeat(2_000)))))
      case "slow":
        return Effect.delay(Effect.succeed(Response.make(body)), "5 millis")
      case "die":
        return Effect.die("on purpose")
      default:
        return Effect.succeed(Response.make(body))
    }
  }
  const inputs = [
    "",
    "hello\n",
    "slow\nslow\nhello\nhello\nhello\n",
    "stream\nslow\nstream\n",
    "half",
    "die\n",
    "\xff\n"
  ]
  const leave = [
    (socket: net.Socket) => socket.resetAndDestroy(),
    (socket: net.Socket) => void setImmediate(() => socket.resetAndDestroy()),
    (socket: net.Socket) => void socket.end().once("finish", () => socket.resetAndDestroy()),
    (socket: net.Socket) => void socket.once("data", () => socket.destroy()).setTimeout(20, () => socket.destroy())
  ]
  const visit = (port: number, i: number) =>
    Effect.callback<void>((resume) => {
      const socket = net.connect({ port, host: "127.0.0.1" }, () => {
        socket.write(inputs[i % inputs.length] as string, "latin1")
        leave[Math.floor(i / inputs.length) % leave.length]?.(socket)
      })
      socket.on("error", () => {}).on("close", () => resume(Effect.void))
    })

  it.live("leave no connection, no descriptor, and one outcome for each request", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const port = yield* linesPort
      const events = yield* Queue.unbounded<Outcome.Event>()
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
        { startImmediately: true }
      )
      const before = fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0
      yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => i),
        (i) => visit(port, i),
        { concurrency: 40 }
      )
      const open = Effect.map(server.connections, (connections) => connections.length)
      yield* Effect.repeat(Effect.delay(open, "10 millis"), { until: (count) => count === 0 })
      const after = fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0
      assert.isAtMost(after, before + 1)
      const counts = yield* server.counts
      const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
      const all = yield* Queue.takeN(events, total)
      const ids = all.flatMap(({ request }) => (request === undefined ? [] : [request.id]))
      assert.strictEqual(new Set(ids).size, ids.length)
      // Every request that was received: they are counted from 1.
      assert.strictEqual(Math.max(...ids), ids.length)
      assert.isAbove(ids.length, 500)
    }).pipe(Effect.scoped, Effect.provide(served(handler, { maxPipelined: 2 })))
  )
})
