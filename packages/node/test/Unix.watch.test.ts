/** A path that is taken away from a running server: it is said, once. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const home = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unix-"))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true }))
)

const servers = {
  UnixServer: (path: string) => UnixServer.layer(Echo, { path }),
  ...(process.platform === "linux" && {
    UnixDatagramServer: (path: string) => UnixDatagramServer.layer(Echo, { path })
  })
}

const changes: ReadonlyArray<{
  readonly what: string
  readonly change: (path: string) => void
  readonly said: string
}> = [
  { what: "stays", change: () => {}, said: "" },
  {
    what: "is removed",
    change: (path) => fs.unlinkSync(path),
    said: "Echo: the path PATH was removed, so that nobody new can connect; start the server again"
  },
  {
    what: "is another's by now",
    change: (path) => (fs.unlinkSync(path), fs.writeFileSync(path, "")),
    said: "Echo: at the path PATH is something else by now, so that nobody new can connect"
  }
]

for (const [name, layer] of Object.entries(servers)) {
  describe(`a path of ${name}`, () => {
    it.effect.each(changes)("that $what", ({ change, said }) =>
      Effect.gen(function* () {
        const path = join(yield* home, "s")
        const lines: Array<string> = []
        const logged = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
        yield* Layer.build(
          Layer.provide(
            Layer.provideMerge(
              Echo.serve(({ body }) => Effect.succeed(Response.make(body))),
              layer(path)
            ),
            logged
          )
        )
        change(path)
        assert.deepStrictEqual(lines, [])
        for (let i = 0; i < 3; i++) yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(lines.join("\n"), said.replace("PATH", path))
      }).pipe(Effect.scoped)
    )

    it.effect("that its own stop has removed, while a request of that is still answered", () =>
      Effect.gen(function* () {
        const path = join(yield* home, "s")
        const lines: Array<string> = []
        const logged = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
        const begun = yield* Deferred.make<void>()
        const slow = Echo.serve(({ body }) =>
          Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), Response.make(body))
        )
        const built = yield* Layer.build(Layer.provide(Layer.provideMerge(slow, layer(path)), logged))
        yield* Effect.gen(function* () {
          const server = yield* Echo
          yield* (yield* Echo.rawClient).write(new TextEncoder().encode("hello\n"))
          yield* Deferred.await(begun)
          const stopped = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
          for (let i = 0; i < 9; i++) yield* TestClock.adjust("1 second")
          assert.isFalse(fs.existsSync(path))
          yield* TestClock.adjust("2 seconds")
          yield* Fiber.join(stopped)
        }).pipe(Effect.provide(built))
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("so that nobody new can connect")),
          []
        )
      }).pipe(Effect.scoped)
    )
  })
}
