/** A certificate that is no longer valid, or not yet, is served, and told of. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import { join } from "node:path"
import { vi } from "vitest"
import * as reloads from "../src/internal/reloads.ts"
import { directory, selfSigned } from "./support/certificates.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const home = directory()
// For two days.
const own = selfSigned(home, "localhost")
const other = selfSigned(home, "other.test", "other.test")

const day = 86_400_000

/** What a server says that starts so many days from now. */
const says = (days: number, options: Partial<TlsServer.TlsOptions> = {}) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(
      ({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`)
    )
    const now = Date.now()
    yield* Effect.acquireRelease(
      Effect.sync(() => vi.spyOn(Date, "now").mockReturnValue(now + days * day)),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
    const layer = TlsServer.layer(Lines, { host: "127.0.0.1", port: 0, ...own, ...options })
    yield* Layer.build(Layer.provide(layer, Logger.layer([logger])))
    return lines
  })

describe("a certificate", () => {
  it.effect("that is valid is not told of", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* says(0), [])
    })
  )

  it.effect("that has expired, or that of another name, is told of at the start", () =>
    Effect.gen(function* () {
      const lines = yield* says(3, { sni: { "other.test": other } })
      assert.strictEqual(lines.length, 2)
      assert.match(
        lines[0]!,
        /^Warn TLS: the certificate of CN=localhost, O=Test expired on 20\S+Z: clients that verify it go away$/
      )
      assert.match(lines[1]!, /^Warn TLS: the certificate of CN=other.test, O=Test expired on /)
    })
  )

  it.effect("that is not valid yet is told of", () =>
    Effect.gen(function* () {
      assert.match(
        (yield* says(-1)).join(),
        /^Warn TLS: the certificate of CN=localhost, O=Test is not valid before 20\S+Z/
      )
    })
  )

  it.live("that is read anew is told of then", () =>
    Effect.gen(function* () {
      const live = { cert: join(home, "live.pem"), key: join(home, "live.key") }
      for (const name of ["key", "cert"] as const) fs.copyFileSync(own[name], live[name])
      const lines = yield* says(0, live)
      vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3 * day)
      assert.isTrue(reloads.reload())
      yield* Effect.yieldNow
      assert.match(
        lines.join("\n"),
        /^Info The certificate was read anew: CN=localhost, O=Test\nWarn TLS: .* expired on /
      )
    })
  )
})
