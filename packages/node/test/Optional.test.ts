/** Peers that may be missing: no bundler looks for them, since it would fail where they are not, and break what is native in them. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

it.live("a bundler of a program finds no optional peer in it", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const bundle = yield* Effect.promise(() =>
      rolldown({
        input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
        platform: "node",
        external: [/^node:/, /^effect\b/, /^@effect\//],
        logLevel: "silent",
        plugins: [
          {
            name: "asked",
            resolveId: (source) => {
              asked.push(source)
              return null
            }
          }
        ]
      })
    )
    yield* Effect.promise(() => bundle.generate({ format: "esm" }))
    yield* Effect.promise(() => bundle.close())
    assert.include(asked, "@socketserver/core/Transport")
    for (const peer of ["koffi", "rolldown"]) assert.notInclude(asked, peer)
  })
)
