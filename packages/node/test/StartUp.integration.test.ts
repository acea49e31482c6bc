import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

describe("start-up", () => {
  it("of the smallest TCP server loads no more than it uses", () => {
    const run = spawnSync(process.execPath, ["--import", fixture("modules.ts"), fixture("smallest.ts")], {
      encoding: "utf8",
      timeout: 30_000
    })
    assert.strictEqual(run.status, 0, run.stderr)
    const loaded = run.stdout.trim().split("\n")
    assert.isAbove(loaded.length, 10)
    assert.isTrue(
      loaded.some((url) => url.endsWith("/TcpServer.ts")),
      "the list has what is used"
    )
    // Configuration, schemas, clocks of dates, other transports, and every package's index.
    const unwanted =
      /\/(Schema|Config|ConfigProvider|Policy|NodeServer|MemoryServer|Middleware)\.[jt]s$|platform-node|\/index\.[jt]s$|koffi|^node:(tls|dgram|worker_threads|child_process)$/
    assert.deepStrictEqual(
      loaded.filter((url) => unwanted.test(url)),
      []
    )
  })
  it("of the smallest TCP client loads no other transport, and nothing of servers", () => {
    const run = spawnSync(process.execPath, ["--import", fixture("modules.ts"), fixture("smallestClient.ts")], {
      encoding: "utf8",
      timeout: 30_000
    })
    assert.strictEqual(run.status, 0, run.stderr)
    const loaded = run.stdout.trim().split("\n")
    assert.isTrue(
      loaded.some((url) => url.endsWith("/netSocket.ts")),
      "the list has what is used"
    )
    const unwanted =
      /\/(Schema|Config|Policy|\w*Server|Transport|engine|udp\w*|tls\w*|unix\w*)\.[jt]s$|platform-node|\/index\.[jt]s$|koffi|^node:(tls|dgram|fs|worker_threads|child_process)$/
    assert.deepStrictEqual(
      loaded.filter((url) => unwanted.test(url)),
      []
    )
  })
})
