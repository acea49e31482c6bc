import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Small, SmallLive } from "./fixtures/smallestWorker.ts"
import { Quitter, quitter } from "./support/quitter.ts"

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
      // Nobody else bundles it, so that others may run at the same time.
      const entry = fileURLToPath(new URL("./support/quitter.ts", import.meta.url))
      const cache = fileURLToPath(new URL("../node_modules/.cache/socketserver", import.meta.url))
      const policy = WorkerPolicy.pool({ size: 1, entry, bundle: true })
      const answer = Effect.flatMap(Quitter.client, (client) => client.send("hello")).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Quitter.serve(quitter, { policy }), MemoryServer.layer(Quitter)))
      )
      interface Manifest {
        readonly main: string
        readonly inputs: ReadonlyArray<readonly [path: string, ...rest: ReadonlyArray<unknown>]>
      }
      const bundles = () =>
        (existsSync(cache) ? readdirSync(cache) : [])
          .map((key) => join(cache, key))
          .filter((folder) => existsSync(join(folder, "manifest.json")))
          .map((folder) => ({
            folder,
            ...(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest)
          }))
          .filter(({ inputs }) => inputs.some(([path]) => path === entry))
      const bundle = () => {
        const [found, ...others] = bundles()
        assert.deepStrictEqual(others, [])
        assert.isTrue(existsSync(found!.main))
        return found!.main
      }
      for (const { folder } of bundles()) rmSync(folder, { recursive: true })
      assert.strictEqual(yield* answer, "hello")
      const first = bundle()
      assert.strictEqual(yield* answer, "hello")
      assert.strictEqual(bundle(), first)
      const { atime, mtime } = statSync(entry)
      utimesSync(entry, atime, new Date(mtime.getTime() + 1_000))
      yield* Effect.addFinalizer(() => Effect.sync(() => utimesSync(entry, atime, mtime)))
      assert.strictEqual(yield* answer, "hello")
      assert.notStrictEqual(bundle(), first)
    }).pipe(Effect.scoped)
  )
})
