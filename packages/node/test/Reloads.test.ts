import { assert, it } from "@effect/vitest"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { reload } from "../src/internal/reloads.ts"

class Log extends Context.Service<Log, Array<string>>()("Log") {}

it.effect("what is to be read anew at SIGHUP runs with its services, as long as its layer lives", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const says = (text: string) => NodeServer.onReload(Effect.map(Log, (log) => void log.push(text)))
    const both = Layer.provide(Layer.merge(says("one"), says("two")), Layer.succeed(Log, log))
    // Others of this process may have something, too.
    const before = reload()
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Layer.build(both)
        assert.deepStrictEqual(log, [])
        assert.isTrue(reload())
        yield* Effect.yieldNow
        assert.deepStrictEqual([...log].sort(), ["one", "two"])
      })
    )
    assert.strictEqual(reload(), before)
    yield* Effect.yieldNow
    assert.lengthOf(log, 2)
  })
)
