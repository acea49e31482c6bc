import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Small, SmallLive } from "./fixtures/smallestWorker.ts"
import { Suspect, suspect } from "./support/suspect.ts"

describe("a worker", () => {
  it.live("loads no more than it uses", () =>
    Effect.gen(function* () {
      const client = yield* Small.client
      const loaded = JSON.parse(yield* client.send("modules")) as ReadonlyArray<string>
      assert.isTrue(
        loaded.some((url) => url.endsWith("/worker/child/host.ts")),
        "the list has what is used"
      )
      // Configuration, schemas, what only a parent needs, and every package's index.
      const unwanted =
        /\/(Schema|Config|ConfigProvider|Policy|NodeServer|Middleware)\.[jt]s$|\/worker\/parent\/|supervisor|platform-node|\/index\.[jt]s$/
      assert.deepStrictEqual(
        loaded.filter((url) => unwanted.test(url)),
        []
      )
    }).pipe(Effect.scoped, Effect.provide(SmallLive))
  )

  it.live("runs from a bundle, which is kept until one of its modules changes", () =>
    Effect.gen(function* () {
      const entry = fileURLToPath(new URL("./support/suspect.ts", import.meta.url))
      const cache = fileURLToPath(new URL("../node_modules/.cache/socketserver", import.meta.url))
      rmSync(cache, { recursive: true, force: true })
      const policy = WorkerPolicy.pool({ size: 1, entry, bundle: true })
      const answer = Effect.flatMap(Suspect.client, (client) => client.send("hello")).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Suspect.serve(suspect, { policy }), MemoryServer.layer(Suspect)))
      )
      const bundle = () => {
        const [key] = readdirSync(cache)
        const { inputs, main } = JSON.parse(readFileSync(join(cache, key!, "manifest.json"), "utf8"))
        assert.isTrue(existsSync(main))
        assert.isTrue(inputs.some(([path]: [string]) => path === entry))
        return main as string
      }
      assert.match(yield* answer, /^\d+ hello$/)
      const first = bundle()
      assert.match(yield* answer, /^\d+ hello$/)
      assert.strictEqual(bundle(), first)
      const { atime, mtime } = statSync(entry)
      utimesSync(entry, atime, new Date(mtime.getTime() + 1_000))
      yield* Effect.addFinalizer(() => Effect.sync(() => utimesSync(entry, atime, mtime)))
      assert.match(yield* answer, /^\d+ hello$/)
      assert.notStrictEqual(bundle(), first)
    }).pipe(Effect.scoped)
  )
})
