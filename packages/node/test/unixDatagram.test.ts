import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { Budget } from "../src/internal/unixBudget.ts"
import * as libc from "../src/internal/libc.ts"
import * as unixAddress from "../src/internal/unixAddress.ts"
import { knock, type Sender, UnixDatagram } from "../src/internal/unixDatagram.ts"

const elsewhere = process.platform !== "linux"
if (elsewhere) console.log("skipped: these sockets are there on Linux only")

interface Heard {
  readonly data: Uint8Array
  readonly from: Sender | undefined
  readonly sizeBytes: number
}

/** A socket, what it has heard, and a wait until that is so many. */
const open = (path?: string | "auto", maxBytes = 65_536) =>
  Effect.gen(function* () {
    const opened = UnixDatagram.open(yield* libc.load, maxBytes)
    const socket = Result.getOrThrow(opened)
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
    if (path !== undefined) assert.isUndefined(socket.bind(path === "auto" ? undefined : path))
    const heard: Array<Heard> = []
    const changed = Latch.makeUnsafe()
    socket.start({
      onMessage: (data, from, sizeBytes) => {
        heard.push({ data, from, sizeBytes })
        changed.openUnsafe()
      },
      onError: (error) => {
        throw error
      }
    })
    const hears = (count: number): Effect.Effect<ReadonlyArray<Heard>> =>
      Effect.suspend(() => {
        if (heard.length >= count) return Effect.succeed(heard)
        changed.closeUnsafe()
        return Effect.andThen(changed.await, hears(count))
      })
    return { socket, heard, hears }
  })

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unixgram-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const text = (data: Uint8Array) => Buffer.from(data).toString()
const to = (path: string) => Buffer.concat([Buffer.from([1, 0]), Buffer.from(path.replace(/^@/, "\0"))])
const abstract = (name: string) => `@socketserver-${process.pid}-${name}`
const descriptors = () => fs.readdirSync("/proc/self/fd").length

describe.skipIf(elsewhere)("a Unix datagram socket", () => {
  it.live("names the senders that have an address, and answers them", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "server")
      const { hears, socket } = yield* open(path)
      assert.strictEqual(socket.name, path)
      const bound = yield* open(`${path}.client`)
      const chosen = yield* open("auto")
      const unnamed = yield* open()
      assert.match(chosen.socket.name ?? "", /^@[0-9a-f]{5}$/)
      assert.isUndefined(unnamed.socket.name)
      for (const { socket } of [bound, chosen, unnamed]) assert.isUndefined(socket.send(Buffer.from("hello"), to(path)))
      const [first, second, third] = yield* hears(3)
      assert.strictEqual(first?.from?.name, `${path}.client`)
      assert.strictEqual(second?.from?.name, chosen.socket.name)
      assert.isUndefined(third?.from)
      for (const { from } of [first!, second!]) assert.isUndefined(socket.send(Buffer.from("answer"), from?.address))
      for (const { hears } of [bound, chosen]) {
        const [answer] = yield* hears(1)
        assert.strictEqual(text(answer!.data), "answer")
        assert.strictEqual(answer!.from?.name, path)
      }
    })
  )

  it.live("keeps the boundaries, the empty datagram included, and says how long one was that it has cut", () =>
    Effect.gen(function* () {
      const { hears } = yield* open(abstract("sizes"), 8)
      const { socket } = yield* open("auto")
      for (const data of ["", "12345678", "123456789"])
        assert.isUndefined(socket.send(Buffer.from(data), to(abstract("sizes"))))
      assert.deepStrictEqual(
        (yield* hears(3)).map(({ data, sizeBytes }) => [text(data), sizeBytes]),
        [
          ["", 0],
          ["12345678", 8],
          ["12345678", 9]
        ]
      )
    })
  )

  it.live("shows a name of any bytes in one line", () =>
    Effect.gen(function* () {
      const { hears } = yield* open(abstract("names"))
      const odd = yield* open(`${abstract("a")}\n\0b`)
      assert.strictEqual(odd.socket.name, `${abstract("a")}\\x0a\\x00b`)
      const accented = yield* open(abstract("é"))
      assert.strictEqual(accented.socket.name, abstract("é"))
      odd.socket.send(Buffer.from("x"), to(abstract("names")))
      assert.strictEqual((yield* hears(1))[0]?.from?.name, odd.socket.name)
    })
  )

  it("never shows a path as an abstract name", () => {
    const name = (text: string) => unixAddress.decode(to(text), to(text).length)
    assert.strictEqual(name("@00001"), "@00001")
    const path = Buffer.concat([Buffer.from([1, 0]), Buffer.from("@00001\0")])
    assert.strictEqual(unixAddress.decode(path, path.length), "./@00001")
  })

  it.live("says with a code what cannot be bound or sent", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "server")
      const { socket } = yield* open(path)
      const other = yield* open()
      assert.strictEqual(other.socket.bind(path)?.code, "EADDRINUSE")
      assert.strictEqual(other.socket.bind("/nowhere/s")?.code, "ENOENT")
      assert.strictEqual(other.socket.bind(path)?.message, `bind EADDRINUSE: address already in use ${path}`)
      assert.strictEqual(other.socket.send(Buffer.from("x"), to(`${path}.none`)), "ENOENT")
      assert.strictEqual(other.socket.send(Buffer.alloc(16_000_000), to(path)), "EMSGSIZE")
      socket.close()
      assert.strictEqual(other.socket.send(Buffer.from("x"), to(path)), "ECONNREFUSED")
      assert.strictEqual(socket.send(Buffer.from("x"), to(path)), "EBADF")
    })
  )

  it.live("holds its senders back while it is paused, and reads everything afterwards", () =>
    Effect.gen(function* () {
      const name = abstract("paused")
      const { heard, hears, socket } = yield* open(name)
      const client = yield* open("auto")
      assert.isUndefined(client.socket.connect(name))
      socket.pause()
      let sent = 0
      while (client.socket.send(Buffer.from(String(sent))) === undefined) sent++
      assert.strictEqual(client.socket.send(Buffer.from("x")), "EAGAIN")
      assert.isAbove(sent, 1)
      assert.strictEqual(heard.length, 0)
      const writable = Latch.makeUnsafe()
      client.socket.onWritable(() => writable.openUnsafe())
      socket.resume()
      yield* writable.await
      assert.isUndefined(client.socket.send(Buffer.from(String(sent))))
      assert.deepStrictEqual(
        (yield* hears(sent + 1)).map(({ data }) => Number(text(data))),
        [...Array(sent + 1).keys()]
      )
    })
  )

  it.live("reads what the kernel holds when it is told to, also while it is paused", () =>
    Effect.gen(function* () {
      const { heard, socket } = yield* open(abstract("drain"))
      const client = yield* open("auto")
      socket.pause()
      for (let i = 0; i < 5; i++) client.socket.send(Buffer.from("x"), to(abstract("drain")))
      socket.readAll()
      assert.strictEqual(heard.length, 5)
    })
  )

  it.live("reads no more once its handler has paused it", () =>
    Effect.gen(function* () {
      const { heard, hears, socket } = yield* open(abstract("one"))
      const client = yield* open("auto")
      const { push } = heard
      heard.push = (...items) => {
        socket.pause()
        return push.apply(heard, items)
      }
      for (let i = 0; i < 5; i++) client.socket.send(Buffer.from("x"), to(abstract("one")))
      for (let i = 1; i <= 5; i++) {
        assert.strictEqual((yield* hears(i)).length, i)
        socket.resume()
      }
    })
  )

  it.live("knows how much of what it has sent nobody has read", () =>
    Effect.gen(function* () {
      const { socket } = yield* open(abstract("unread"))
      const reader = yield* open("auto")
      reader.socket.pause()
      assert.strictEqual(socket.unread.bytes, 0)
      socket.sendBufferBytes = 100_000
      assert.strictEqual(socket.unread.limitBytes, 200_000)
      socket.send(Buffer.alloc(1_000), to(reader.socket.name as string))
      assert.isAbove(socket.unread.bytes, 1_000)
      reader.socket.readAll()
      assert.strictEqual(socket.unread.bytes, 0)
    })
  )

  it.live("is told alive from dead by knocking, whatever its type and its state", () =>
    Effect.gen(function* () {
      const system = yield* libc.load
      const path = join(yield* directory, "s")
      assert.strictEqual(knock(system, path)?.code, "ENOENT")
      const { socket } = yield* open(path)
      assert.isUndefined(knock(system, path))
      assert.isUndefined(socket.connect(path))
      // One that talks to another only; itself, here.
      assert.strictEqual(knock(system, path)?.code, "EPERM")
      socket.close()
      assert.strictEqual(knock(system, path)?.code, "ECONNREFUSED")
    })
  )

  it.live(
    "leaks no descriptor and no memory over 10,000 that open and close",
    () =>
      Effect.gen(function* () {
        const system = yield* libc.load
        const receiver = { onMessage: () => {}, onError: () => {} }
        const once = () => {
          const socket = Result.getOrThrow(UnixDatagram.open(system, 65_536))
          socket.bind(undefined)
          socket.start(receiver)
          socket.close()
        }
        const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
        const round = Effect.gen(function* () {
          for (let i = 0; i < 100; i++) once()
          yield* turn
        })
        yield* Effect.repeat(round, { times: 9 })
        const before = { descriptors: descriptors(), resident: process.memoryUsage.rss() }
        yield* Effect.repeat(round, { times: 99 })
        assert.strictEqual(descriptors(), before.descriptors)
        // A handle is about 200 bytes and a receive buffer 64 KiB: what is not collected yet is less.
        assert.isBelow(process.memoryUsage.rss() - before.resident, 64 * 1024 * 1024)
      }),
    60_000
  )

  it.live("has its buffer divided again once a descriptor that was lacking can be had", () =>
    Effect.gen(function* () {
      const name = abstract("divided")
      const system = yield* libc.load
      let lacking = true
      const NETLINK = 16
      const server = Result.getOrThrow(UnixDatagram.open(system, 1))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      assert.isUndefined(server.bind(name))
      // One that is connected to its sender may hold all of the buffer.
      const peer = Result.getOrThrow(UnixDatagram.open(system, 1))
      yield* Effect.addFinalizer(() => Effect.sync(() => peer.close()))
      assert.isUndefined(peer.bind(undefined))
      assert.isUndefined(peer.connect(name))
      const address = to(peer.name as string)
      const sender: Sender = { name: peer.name as string, key: address.toString("latin1"), address }
      const budget = new Budget(
        {
          ...system,
          socket: (domain, ...rest) => (domain === NETLINK && lacking ? -1 : system.socket(domain, ...rest))
        },
        server
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => budget.close()))
      const data = Buffer.alloc(1_000)
      const give = () => {
        if (!budget.allows(sender, data.length)) return "over its share"
        const code = server.send(data, address)
        if (code === undefined) budget.add(sender, data.length)
        return code
      }
      while (server.unread.bytes < server.unread.limitBytes / 4) assert.isUndefined(give())
      lacking = false
      let code = give()
      while (code === undefined) code = give()
      assert.strictEqual(code, "over its share")
    })
  )

  it.live("has room for short answers to many that come new, however many long ones nobody reads", () =>
    Effect.gen(function* () {
      const system = yield* libc.load
      const opened = Effect.acquireRelease(
        Effect.sync(() => Result.getOrThrow(UnixDatagram.open(system, 1))),
        (socket) => Effect.sync(() => socket.close())
      )
      const server = yield* opened
      assert.isUndefined(server.bind(abstract("crowded")))
      server.sendBufferBytes = 100_000
      const budget = new Budget(system, server)
      yield* Effect.addFinalizer(() => Effect.sync(() => budget.close()))
      /** Whether somebody who was never sent anything may be sent so much. He reads none of it. */
      const newcomer = (bytes: number) =>
        Effect.map(opened, (peer) => {
          assert.isUndefined(peer.bind(undefined))
          const address = to(peer.name as string)
          const sender: Sender = { name: peer.name as string, key: address.toString("latin1"), address }
          if (!budget.allows(sender, bytes)) return false
          assert.isUndefined(server.send(Buffer.alloc(bytes), address))
          budget.add(sender, bytes)
          return true
        })
      let long = 0
      while (yield* newcomer(16_000)) long++
      assert.isAbove(long, 3)
      for (let i = 0; i < 40; i++) assert.isTrue(yield* newcomer(100), `the short one ${i}`)
    })
  )

  it.live("works in a worker thread", () =>
    Effect.gen(function* () {
      const name = abstract("worker")
      const { hears, socket } = yield* open(abstract("main"))
      const worker = new Worker(new URL("./support/unixgramWorker.ts", import.meta.url), { workerData: name })
      const event = <A>(name: "message" | "exit") =>
        Effect.callback<A>((resume) => void worker.once(name, (value: A) => resume(Effect.succeed(value))))
      yield* event("message")
      assert.isUndefined(socket.send(Buffer.from("hello"), to(name)))
      assert.strictEqual(text((yield* hears(1))[0]!.data), "hello")
      assert.isUndefined(socket.send(Buffer.from("end"), to(name)))
      assert.strictEqual(yield* event("exit"), 0)
      assert.strictEqual(socket.send(Buffer.from("hello"), to(name)), "ECONNREFUSED")
    })
  )
})
