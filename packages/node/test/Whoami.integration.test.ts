import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing, printed, python, serving } from "./support/programs.ts"

const noPython = missing("python3")

describe.skipIf(noPython)("examples/whoami", () => {
  it.live.each(["sequential", "fiber", "connection"])(
    "under %s answers 1,000 lines that are written byte by byte, whole and in order",
    (policy) =>
      Effect.gen(function* () {
        const { port } = yield* serving("whoami", { POLICY: policy })
        const answers = yield* printed(
          python(
            port,
            `
s = connect()
for byte in "".join(f"é{i}\\n" for i in range(1000)).encode():
    s.send(bytes([byte]))
s.shutdown(socket.SHUT_WR)
sys.stdout.buffer.write(rest(s))
`
          )
        )
        const [workers, lines] = split(answers)
        assert.deepStrictEqual(
          lines,
          Array.from({ length: 1000 }, (_, i) => `é${i}`)
        )
        assert.strictEqual(workers.size, policy === "sequential" ? 1 : 1000)
      })
  )

  it.live("answers slow requests one by one when sequential, together under fiber, and the same", () =>
    Effect.gen(function* () {
      // 20 connections that all ask before any of them reads.
      const ask = (policy: string, delay: string) =>
        Effect.gen(function* () {
          const { port } = yield* serving("whoami", { POLICY: policy, DELAY: delay })
          return yield* printed(
            python(
              port,
              `
all = [connect() for _ in range(20)]
start = time.monotonic()
for i, s in enumerate(all): s.sendall(f"{i}\\n".encode())
for s in all: print(line(s).decode(), end="")
print(f"seconds: {time.monotonic() - start}")
`
            )
          )
        })
      const [slowWorkers, slow] = split(yield* ask("sequential", "50 millis"))
      const [fastWorkers, fast] = split(yield* ask("fiber", "1 second"))
      const seconds = (lines: Array<string>) => Number(lines.pop())
      const [one, all] = [seconds(slow), seconds(fast)]
      assert.deepStrictEqual(slow, fast)
      assert.deepStrictEqual(
        fast,
        Array.from({ length: 20 }, (_, i) => String(i))
      )
      assert.deepStrictEqual([...slowWorkers], ["sequential", "seconds"])
      assert.strictEqual(fastWorkers.size, 20 + 1)
      assert.isAtLeast(one, 20 * 0.05, "sequential handlers overlapped")
      assert.isBelow(all, 20 * 1, "the handlers of 20 connections did not overlap")
    })
  )

  it.live("answers slowly what was asked before a half-close", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("whoami", { DELAY: "200 millis" })
      const answers = yield* printed(
        python(
          port,
          `
s = connect()
s.sendall(b"one\\ntwo\\nthree, without a newline")
s.shutdown(socket.SHUT_WR)
print(rest(s).decode(), end="")
`
        )
      )
      assert.deepStrictEqual(split(answers)[1], ["one", "two", "three, without a newline"])
    })
  )

  it.live("burns CPU for WORK, which nothing overlaps in one process", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("whoami", { WORK: "50 millis" })
      const answers = yield* printed(
        python(
          port,
          `
start = time.monotonic()
s = connect()
s.sendall(b"a\\n" * 4)
s.shutdown(socket.SHUT_WR)
print(rest(s).decode(), end="")
print(f"seconds: {time.monotonic() - start}")
`
        )
      )
      const [, lines] = split(answers)
      assert.isAtLeast(Number(lines.pop()), 4 * 0.05)
      assert.deepStrictEqual(lines, ["a", "a", "a", "a"])
    })
  )
})

/** The workers and the lines of `<worker>: <line>`. */
const split = (answers: string): [workers: Set<string>, lines: Array<string>] => {
  const pairs = answers
    .trimEnd()
    .split("\n")
    .map((answer) => answer.split(": ") as [string, string])
  return [new Set(pairs.map(([worker]) => worker)), pairs.map(([, line]) => line)]
}
