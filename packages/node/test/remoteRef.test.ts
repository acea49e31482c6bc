/** The connection that a handler in a worker sees. */
import { assert, describe, it } from "@effect/vitest"
import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { readDefect } from "../src/internal/worker/channel/calls.ts"
import { FrameReader, FrameWriter, Tell } from "../src/internal/worker/channel/frames.ts"
import { Pushes, RemoteRef } from "../src/internal/worker/child/remoteRef.ts"

const setup = () => {
  const pushed: Array<number> = []
  const unreleased: Array<string> = []
  const reader = new FrameReader({
    onFrame: (kind, id, body) => {
      if (kind === Tell.push) pushed.push(id)
      if (kind === Tell.unreleased) unreleased.push(`${id}: ${readDefect(body).message}`)
    }
  })
  const writer = new FrameWriter(
    (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
    (flush) => queueMicrotask(flush)
  )
  const pushes = new Pushes()
  const described = {
    kind: "stream",
    peer: { transport: "memory", name: "test" },
    openedAt: 0,
    listener: "memory:test"
  } as const
  const encode = () => (message: unknown) => message as string
  const ref = new RemoteRef<string>({ id: 1, described, writer, pushes, encode, windowBytes: 65_536 })
  const push = (bytes: number) => Effect.runFork(ref.push("x".repeat(bytes)))
  return {
    push,
    ref,
    /** What its parent is told, with the connection. */
    unreleased,
    confirm: (id: number) => pushes.confirm(id, undefined),
    pushed: () => {
      writer.flush()
      return pushed
    }
  }
}

describe("messages that a worker pushes to a connection", () => {
  it("wait once 64 KiB of them are on their way, until those have been taken", async () => {
    const test = setup()
    const fibers = Array.from({ length: 6 }, () => test.push(30_000))
    assert.deepStrictEqual(test.pushed(), [1, 2, 3])
    test.confirm(1)
    await Effect.runPromise(Fiber.join(fibers[0] as Fiber.Fiber<void>))
    assert.deepStrictEqual(test.pushed(), [1, 2, 3, 4])
    fibers[4]?.interruptUnsafe()
    for (const id of [2, 3, 4]) test.confirm(id)
    await Effect.runPromise(Effect.yieldNow)
    assert.deepStrictEqual(test.pushed(), [1, 2, 3, 4, 5])
  })

  it("fail when the connection has ended, those that wait, too", async () => {
    const test = setup()
    const fibers = Array.from({ length: 4 }, () => test.push(30_000))
    await Effect.runPromise(test.ref.end())
    const last = await Effect.runPromise(Fiber.await(fibers[3] as Fiber.Fiber<void>))
    assert.isTrue(Exit.isFailure(last))
  })
})

describe("what hangs on a connection in a worker", () => {
  it("is run once the last of its calls has ended, the last first, and once", async () => {
    const { ref } = setup()
    const run: Array<string> = []
    for (const name of ["first", "last"]) ref[Remote.onEndKey](() => Effect.sync(() => void run.push(name)))
    ref.began()
    ref.began()
    const end = Effect.runFork(ref.end())
    ref.ended()
    await Effect.runPromise(Effect.yieldNow)
    assert.deepStrictEqual(run, [])
    ref.ended()
    await Effect.runPromise(Fiber.join(end))
    await Effect.runPromise(ref.end())
    assert.deepStrictEqual(run, ["last", "first"])
  })

  it("is run all the same where some of it dies, which its parent is told at once", async () => {
    const { ref, unreleased } = setup()
    const run: Array<string> = []
    ref[Remote.onEndKey](() => Effect.sync(() => void run.push("first")))
    ref[Remote.onEndKey](() => {
      throw new Error("it is gone")
    })
    ref[Remote.onEndKey](() => Effect.die("so is this"))
    ref[Remote.onEndKey](() => Effect.interrupt)
    Effect.runSync(ref.end())
    assert.deepStrictEqual(run, ["first"])
    assert.deepStrictEqual(unreleased, ["1: so is this", "1: it is gone"])
  })
})
