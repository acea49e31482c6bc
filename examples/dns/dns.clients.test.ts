/** `dig` talks to the example under every policy. From Debian's package bind9-dnsutils. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import * as Net from "node:net"
import { ownPort } from "../../packages/node/test/support/ports.ts"
import { example, missing, printed, start } from "../../packages/node/test/support/programs.ts"
import { beside } from "../support/adversaries.ts"

const absent = missing("dig")
if (absent && process.env["CI"]) throw new Error("dig is missing: install bind9-dnsutils")

const serving = (env: { readonly [name: string]: string } = {}) =>
  Effect.gen(function* () {
    const server = yield* example("dns", { LISTEN: "udp://127.0.0.1:0,tcp://127.0.0.1:0", ...env })
    const [, udp = "", tcp = ""] = yield* server.prints(/udp:\/\/127\.0\.0\.1:(\d+)\n.*tcp:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, udp: Number(udp), tcp: Number(tcp) }
  })

const dig = (port: number, ...args: ReadonlyArray<string>) =>
  Effect.map(
    printed(
      start("dig", [
        "@127.0.0.1",
        "-p",
        `${port}`,
        "+tries=1",
        "+time=20",
        "+noall",
        "+answer",
        "+authority",
        "+comments",
        ...args
      ])
    ),
    (said) => ({
      said,
      status: /status: (\w+)/.exec(said)?.[1],
      flags: /flags: ([\w ]*);/.exec(said)?.[1],
      counts: [...said.matchAll(/(?:ANSWER|AUTHORITY|ADDITIONAL): (\d+)/g)].map(([, count]) => Number(count)).join(" "),
      records: said
        .split("\n")
        .filter((line) => /^[^;\s]/.test(line))
        .map((line) => line.split(/\s+/).slice(0, 5).join(" "))
    })
  )

describe.skipIf(absent)("examples/dns", () => {
  it.live.each([
    { POLICY: "sequential" },
    { POLICY: "fiber" },
    { POLICY: "connection" },
    { POLICY: "keyed" },
    { POLICY: "thread:1" },
    { POLICY: "pool:1" },
    { POLICY: "process:2" },
    { PREFORK: "2" }
  ])("answers dig over UDP and TCP under %j", (env) =>
    Effect.gen(function* () {
      const { server, tcp, udp } = yield* serving(env as never)
      const www = yield* dig(udp, "www.example")
      assert.deepStrictEqual(www.records, [
        "www.example. 300 IN CNAME host.example.",
        "host.example. 300 IN A 192.0.2.1"
      ])
      assert.deepStrictEqual([www.status, www.flags, www.counts], ["NOERROR", "qr aa rd", "2 0 1"])
      const large = yield* dig(udp, "+ignore", "+bufsize=4096", "big.example", "TXT")
      assert.deepStrictEqual([large.flags, large.counts], ["qr aa tc rd", "4 0 1"])
      const small = yield* dig(udp, "+ignore", "+noedns", "big.example", "TXT")
      assert.deepStrictEqual([small.flags, small.counts], ["qr aa tc rd", "1 0 0"])
      // Three questions of one connection.
      const all = yield* dig(
        tcp,
        "+tcp",
        "+keepopen",
        "big.example",
        "TXT",
        "nothing.example",
        "A",
        "host.example",
        "AAAA"
      )
      assert.strictEqual(all.records.length, 16 + 1 + 1)
      assert.match(
        all.said,
        /status: NXDOMAIN[^]*example\.\s+60\s+IN\s+SOA[^]*host\.example\.\s+300\s+IN\s+AAAA\s+2001:db8::1/
      )
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live("asks again over TCP by itself, where both are one port", () =>
    Effect.gen(function* () {
      const port = Number(yield* Effect.promise(ownPort))
      const server = yield* example("dns", { LISTEN: `udp://127.0.0.1:${port},tcp://127.0.0.1:${port}` })
      yield* server.prints(/tcp:/)
      const { counts, said } = yield* dig(port, "big.example", "TXT")
      assert.match(said, /Truncated, retrying in TCP mode/)
      assert.strictEqual(counts, "16 0 1")
    })
  )

  it.live("says what it does not do", () =>
    Effect.gen(function* () {
      const { udp } = yield* serving()
      const status = (...args: ReadonlyArray<string>) => Effect.map(dig(udp, ...args), ({ status }) => status)
      assert.strictEqual(yield* status("example.org"), "REFUSED")
      assert.strictEqual(yield* status("+notcp", "host.example", "ANY"), "REFUSED")
      assert.strictEqual(yield* status("+edns=1", "+noednsnegotiation", "host.example"), "BADVERS")
      assert.strictEqual(yield* status("+opcode=update", "host.example"), "NOTIMP")
      assert.strictEqual(yield* status("+header-only"), "FORMERR")
      // A cookie is an option that it does not know, and that it may have.
      assert.strictEqual(yield* status("+cookie=0123456789abcdef", "+subnet=192.0.2.0/24", "host.example"), "NOERROR")
    })
  )

  it.live("answers others beside who sends nonsense over both", () =>
    Effect.gen(function* () {
      const { server, tcp, udp } = yield* serving()
      const nonsense = Array.from({ length: 200 }, (_, i) =>
        // Pointers in a circle, 5,000 questions, and what is no message at all.
        i % 3 === 0
          ? Buffer.from("1234010000010000000000000161c00c00010001", "hex")
          : i % 3 === 1
            ? Buffer.concat([Buffer.from("123401001388000000000000", "hex"), Buffer.alloc(25_000)])
            : Buffer.from("nonsense", "latin1")
      )
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Dgram.createSocket("udp4").on("error", () => {})),
        (socket) => Effect.sync(() => socket.close())
      )
      const connection = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(tcp, "127.0.0.1").on("error", () => {})),
        (connection) => Effect.sync(() => connection.destroy())
      )
      for (const bytes of nonsense) socket.send(bytes, udp, "127.0.0.1")
      connection.write(Buffer.concat([Buffer.of(0, 20), nonsense[0]!, Buffer.alloc(60_000, 255)]))
      const [said] = (yield* Effect.promise(() => once(connection, "data"))) as [Buffer]
      assert.strictEqual(said.toString("hex"), "000c123481010000000000000000")
      assert.deepStrictEqual((yield* dig(udp, "host.example")).records, ["host.example. 300 IN A 192.0.2.1"])
      assert.strictEqual((yield* dig(tcp, "+tcp", "host.example")).status, "NOERROR")
      assert.isTrue(yield* server.running)
    })
  )

  it.live("answers over TCP beside those who say nothing, too much, or do not read", () =>
    Effect.gen(function* () {
      const { server, tcp } = yield* serving()
      const query = "\x00\x1d\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03big\x07example\x00\x00\x10\x00\x01"
      yield* beside({
        server,
        port: String(tcp),
        half: query.slice(0, 20),
        request: query,
        large: `\xff\xff${"x".repeat(65_535)}`,
        served: (name) =>
          Effect.scoped(
            Effect.map(dig(tcp, "+tcp", "host.example"), ({ status }) => assert.strictEqual(status, "NOERROR", name))
          )
      })
    })
  )

  it.live("answers what it has received before a stop", () =>
    Effect.gen(function* () {
      const { server, tcp } = yield* serving()
      const query = Buffer.from("001e00070100000100000000000004686f7374076578616d706c650000010001", "hex")
      const got = yield* Effect.callback<Buffer>((resume) => {
        const chunks: Array<Buffer> = []
        const socket = Net.connect({ port: Number(tcp), host: "127.0.0.1", allowHalfOpen: true })
        socket.on("data", (chunk: Buffer) => {
          if (chunks.push(chunk) === 1) process.kill(server.pid, "SIGTERM")
        })
        socket.on("end", () => socket.end())
        socket.on("close", () => resume(Effect.succeed(Buffer.concat(chunks))))
        // A peer that writes to who reads no more may be reset, as TCP has it.
        socket.on("error", () => resume(Effect.succeed(Buffer.concat(chunks))))
        socket.write(Buffer.concat(Array.from({ length: 2_000 }, () => query)))
        return Effect.sync(() => socket.destroy())
      })
      // Whole answers, none cut off.
      let count = 0
      for (let at = 0; at < got.length; at += 2 + got.readUInt16BE(at)) count++
      assert.isAbove(count, 0)
      assert.strictEqual(got.length % count, 0)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.all, new RegExp(`stopped Dns in \\d+ ms: ${count} completed, 0 interrupted`))
    })
  )

  it.live.each([
    [
      "/nowhere/zone.json",
      "The zone /nowhere/zone.json cannot be served: ENOENT: no such file or directory, open '/nowhere/zone.json'"
    ],
    ["package.json", "The zone package.json cannot be served: "]
  ])("ends with one line where its zone is %s", ([ZONE, line]) =>
    Effect.gen(function* () {
      const server = yield* example("dns", { LISTEN: "udp://127.0.0.1:0", ZONE })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(server.stdout, "")
      assert.deepStrictEqual(server.stderr.trimEnd().split("\n").length, 1)
      assert.include(server.stderr, line)
    })
  )
})
