/** What the parent of workers holds for a connection counts, until it has left or nobody takes it. */
import { assert, describe, it } from "@effect/vitest"
import type { Connection } from "@socketserver/core"
import type * as Response from "@socketserver/core/Response"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { defaultWindow as windowBytes } from "../src/internal/worker/channel/calls.ts"
import { count, Tell } from "../src/internal/worker/channel/frames.ts"
import { ConnectionCall } from "../src/internal/worker/parent/connectionCall.ts"
import { RequestCall } from "../src/internal/worker/parent/requestCall.ts"

/** A connection that sums up what is held for it. */
const connection = () => {
  const self = {
    id: 1,
    peer: { transport: "memory", name: "test" },
    bytesRead: 0,
    bytesWritten: 0,
    inFlight: 1,
    held: 0,
    most: 0,
    holding: {
      charge: (bytes: number) => {
        self.held += bytes
        self.most = Math.max(self.most, self.held)
      }
    }
  }
  return self
}

const line = { claim: 0, tell: () => {}, waits: () => {} }

/** A request whose worker streams its answer. */
const streaming = async () => {
  const on = connection()
  let resumed: Effect.Effect<Response.Response<string>> = Effect.never
  const request = { id: 1, receivedAt: 0, connection: on as unknown as Connection.Ref<never> } as never
  const call = new RequestCall<string>({
    request,
    context: Context.empty(),
    payload: "ask",
    resume: (effect) => (resumed = effect),
    cancel: () => {},
    atEnd: () => () => {}
  })
  call.begin(line)
  call.onFrame(Tell.stream, Buffer.from("0"))
  const response = (await Effect.runPromise(resumed)) as Response.Streamed<string>
  const sends = (bytes: number) => call.onFrame(Tell.message, Buffer.alloc(bytes))
  return { call, on, response, sends }
}

describe("a streamed reply that waits for its turn", () => {
  it("counts as its messages come, and no more once they are taken", async () => {
    const { call, on, response, sends } = await streaming()
    for (let i = 0; i < 4; i++) sends(10_000)
    assert.isAtLeast(on.held, 40_000)
    const taken = Effect.runFork(Stream.runForEach(response.value, () => Effect.void))
    for (let i = 0; i < 4; i++) sends(10_000)
    call.onFrame(Tell.done, Buffer.from("0"))
    await Effect.runPromise(Fiber.join(taken))
    assert.strictEqual(on.held, 0)
    assert.isAtMost(on.most, 90_000)
  })

  it("counts no more when whoever takes it leaves", async () => {
    const { on, response, sends } = await streaming()
    sends(10_000)
    const taken = Effect.runFork(Stream.runForEach(response.value, () => Effect.never))
    await Effect.runPromise(Effect.yieldNow)
    sends(10_000)
    assert.isAtLeast(on.held, 10_000)
    await Effect.runPromise(Fiber.interrupt(taken))
    assert.strictEqual(on.held, 0)
  })

  it("keeps its own bytes, and not all that came with them", async () => {
    const { call, response, on } = await streaming()
    // Much of others has come in one piece with it.
    call.onFrame(Tell.message, Buffer.alloc(1_000_000).subarray(10, 110))
    assert.isAtMost(on.held, 200)
    call.onFrame(Tell.done, Buffer.from("0"))
    const [message] = await Effect.runPromise(Stream.runCollect(response.value))
    const { payload } = message as unknown as { readonly payload: Uint8Array }
    assert.strictEqual(payload.buffer.byteLength, 100)
  })
})

/** A whole connection that a worker has. */
const relayed = () => {
  const on = connection()
  const seen = { reads: true, written: 0 }
  let receiver: { onData: (chunk: Uint8Array) => void } = { onData: () => {} }
  let writable: Effect.Effect<void> = Effect.void
  const relay = {
    carries: "stream" as const,
    start: (given: typeof receiver) => void (receiver = given),
    write: (bytes: Uint8Array) => {
      seen.written += bytes.length
      return writable
    },
    read: (reads: boolean) => void (seen.reads = reads),
    end: () => {},
    reset: () => {}
  }
  const request = { id: 1, receivedAt: 0, connection: on as unknown as Connection.Ref<never> } as never
  const call = new ConnectionCall(request, relay as never, Context.empty())
  call.begin(line)
  return {
    call,
    on,
    seen,
    peerSends: (bytes: number) => receiver.onData(new Uint8Array(bytes)),
    workerTakes: (bytes: number) => call.onFrame(Tell.credit, count(bytes)),
    workerSends: (bytes: number) => call.onFrame(Tell.data, Buffer.alloc(bytes)),
    stopReading: () => void (writable = Effect.never)
  }
}

describe("a whole connection in a worker", () => {
  it("counts what its worker has not taken, which ends its reading", () => {
    const test = relayed()
    for (let times = 0; test.seen.reads && times < 100; times++) test.peerSends(10_000)
    assert.isAbove(test.on.held, windowBytes)
    assert.isAtMost(test.on.held, windowBytes + 10_000)
    // It is read on once half of that is taken, and not for each piece.
    test.workerTakes(test.on.held - windowBytes / 2 - 1)
    assert.isFalse(test.seen.reads)
    test.workerTakes(1)
    assert.isTrue(test.seen.reads)
    test.workerTakes(test.on.held)
    assert.strictEqual(test.on.held, 0)
    assert.isTrue(test.seen.reads)
  })

  it("counts what its worker has sent and its peer does not read", async () => {
    const test = relayed()
    test.stopReading()
    const passing = Effect.runFork(test.call.pass)
    for (let i = 0; i < 5; i++) test.workerSends(10_000)
    await Effect.runPromise(Effect.yieldNow)
    // The first is with its wire, which counts what it has.
    assert.strictEqual(test.seen.written, 10_000)
    assert.strictEqual(test.on.held, 40_000)
    passing.interruptUnsafe()
  })

  it.each([
    { ends: "is done", frame: Tell.done, body: "0" },
    { ends: "dies", frame: Tell.failed, body: JSON.stringify({ message: "", name: "Error", stack: "" }) }
  ])("counts nothing more when its handler $ends, and its bytes have left", async ({ body, frame }) => {
    const test = relayed()
    test.peerSends(10_000)
    test.workerSends(10_000)
    test.call.onFrame(frame, Buffer.from(body))
    assert.strictEqual(test.on.held, 10_000)
    await Effect.runPromise(Effect.exit(test.call.pass))
    assert.strictEqual(test.on.held, 0)
    assert.strictEqual(test.seen.written, 10_000)
  })

  it("counts nothing more when its worker crashes", async () => {
    const test = relayed()
    test.peerSends(10_000)
    test.workerSends(10_000)
    test.call.onCrash({ _tag: "WorkerCrashed", worker: "1", exitCode: 1, signal: undefined, reason: undefined })
    await Effect.runPromise(test.call.pass)
    assert.strictEqual(test.on.held, 0)
  })
})

describe("a request in a worker", () => {
  const asking = () => {
    const on = connection()
    const seen: { resumed: Effect.Effect<Response.Response<string>>; gone: () => void } = {
      resumed: Effect.never,
      gone: () => {}
    }
    const call = new RequestCall<string>({
      request: { id: 1, receivedAt: 0, connection: on as unknown as Connection.Ref<never> } as never,
      context: Context.empty(),
      payload: "ask",
      resume: (effect) => (seen.resumed = effect),
      cancel: () => {},
      atEnd: (f) => {
        seen.gone = f
        return () => {}
      }
    })
    call.begin(line)
    return { call, on, seen }
  }

  it("whose reply waits for its turn counts no more when its connection has ended", () => {
    const { call, on, seen } = asking()
    call.onFrame(Tell.stream, Buffer.from("0"))
    call.onFrame(Tell.message, Buffer.alloc(10_000))
    assert.isAtLeast(on.held, 10_000)
    seen.gone()
    assert.strictEqual(on.held, 0)
  })

  it("has the answer of the worker that has done it, and nothing of one that has crashed over it", async () => {
    const { call, seen } = asking()
    call.onFrame(Tell.message, Buffer.from("half an answer"))
    assert.isTrue(call.mayRetry(1))
    call.begin(line)
    call.onFrame(Tell.done, Buffer.from("0"))
    assert.strictEqual((await Effect.runPromise(seen.resumed))._tag, "Empty")
  })
})
