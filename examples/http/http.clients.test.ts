/** curl and Node's WebSocket talk to the example, over each kind of listener, and while it stops; adversaries beside them. */
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import { inTime } from "../../packages/node/test/support/patience.ts"

const missing = ["curl", "openssl", "python3"].filter(
  (program) => spawnSync(program, ["--version"]).error !== undefined
)
if (missing.length > 0) {
  const reason = `examples/http needs ${missing.join(", ")}: apt-get install --no-install-recommends ${missing.join(" ")}`
  if (process.env["CI"]) throw new Error(reason)
  console.warn(`skipped: ${reason}`)
}

const home = fs.mkdtempSync(join(tmpdir(), "http-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))
const main = join(import.meta.dirname, "main.ts")
const running = new Set<ChildProcess>()
const sockets = new Set<net.Socket>()

afterEach(() => {
  for (const child of running) child.kill("SIGKILL")
  for (const socket of sockets) socket.destroy()
  running.clear()
  sockets.clear()
})

/** A program, and what it prints. */
const run = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const child = spawn(command, args, { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"] })
  running.add(child)
  let [stdout, stderr] = ["", ""]
  const waiting = new Set<() => void>()
  const changed = () => waiting.forEach((look) => look())
  child.stdout.setEncoding("utf8").on("data", (text: string) => ((stdout += text), changed()))
  child.stderr.setEncoding("utf8").on("data", (text: string) => ((stderr += text), changed()))
  const told = () => `${command} ${args.join(" ")}\n${stdout}\n${stderr}`
  const closed = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on("close", (code) => {
      changed()
      resolve({ code, stdout, stderr })
    })
  )
  const says = (pattern: RegExp, text: () => string) => {
    const said = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(text())
        if (match !== null) resolve(match)
        else if (child.exitCode !== null) reject(new Error(`ended without ${pattern}: ${told()}`))
      }
      waiting.add(look)
      look()
    })
    return inTime(said, () => `without ${pattern}: ${told()}`)
  }
  const prints = (pattern: RegExp) => says(pattern, () => stdout)
  const complains = (pattern: RegExp) => says(pattern, () => stderr)
  return {
    child,
    /** How it has ended. */
    get ended() {
      return inTime(closed, () => `without an end: ${told()}`)
    },
    prints,
    complains
  }
}

const serve = async (env: Record<string, string> = {}) => {
  const server = run(process.execPath, [main], { LISTEN: "tcp://127.0.0.1:0", ...env })
  const [, address = ""] = await server.prints(/listening on (\S+)\n/)
  const stop = async () => {
    server.child.kill("SIGTERM")
    return await server.ended
  }
  return { address, port: Number(/:(\d+)/.exec(address)?.[1] ?? 0), stop }
}

const curl = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await run("curl", ["-sS", "--max-time", "20", ...args]).ended
  return { code, text: stdout, stderr }
}

const own = { cert: join(home, "cert.pem"), key: join(home, "key.pem") }
if (missing.length === 0) {
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", own.key, "-out", own.cert]
  const { status, stderr } = spawnSync("openssl", [...request.split(" "), ...names], { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
}
const body = join(home, "body")
fs.writeFileSync(body, Buffer.alloc(3_000_000, "0123456789"))
const uploaded = JSON.stringify({
  bytes: 3_000_000,
  sha256: createHash("sha256").update(fs.readFileSync(body)).digest("hex")
})

const places: Record<
  string,
  { readonly env: Record<string, string>; readonly to: (port: number) => ReadonlyArray<string> }
> = {
  tcp: { env: {}, to: (port) => [`http://127.0.0.1:${port}`] },
  unix: {
    env: { LISTEN: `unix://${join(home, "socket")}` },
    to: () => ["--unix-socket", join(home, "socket"), "http://here"]
  },
  tls: {
    env: { LISTEN: `tls://127.0.0.1:0?cert=${own.cert}&key=${own.key}` },
    to: (port) => ["--cacert", own.cert, `https://localhost:${port}`]
  },
  PROXY: {
    env: { LISTEN: "tcp://127.0.0.1:0?proxyProtocol=127.0.0.0/8" },
    to: (port) => ["--haproxy-protocol", `http://127.0.0.1:${port}`]
  },
  "PREFORK=2": { env: { PREFORK: "2" }, to: (port) => [`http://127.0.0.1:${port}`] }
}

/** The last of curl's arguments is the server's URL, to which the path is added. */
const at = (to: ReadonlyArray<string>, path: string, ...more: ReadonlyArray<string>) => [
  ...more,
  ...to.slice(0, -1),
  `${to.at(-1)}${path}`
]

describe.skipIf(missing.length > 0)("curl", () => {
  it.each(Object.keys(places))("is answered over %s", async (name) => {
    const { env, to } = places[name]!
    const { port, stop } = await serve(env)
    const url = to(port)
    assert.deepStrictEqual(await curl(...at(url, "/hello")), { code: 0, text: "hello\n", stderr: "" })
    assert.strictEqual((await curl(...at(url, "/upload", "--data-binary", `@${body}`))).text, uploaded)
    assert.strictEqual(
      (await curl(...at(url, "/upload", "-H", "Expect: 100-continue", "-T", body, "-X", "POST"))).text,
      uploaded
    )
    const two = await curl(...at(url, "/health"), ...at(url, "/ready").slice(-1))
    assert.strictEqual(two.text, "ok\nready\n")
    const { code, stderr } = await stop()
    assert.strictEqual(code, 0, stderr)
  })

  it("is answered by a socket that was handed down", async () => {
    const script = `
import os, socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
os.dup2(s.fileno(), 7); os.execv(sys.argv[1], sys.argv[1:])`
    const server = run("python3", ["-c", script, process.execPath, main], { LISTEN: "fd://7" })
    const [, port] = await server.prints(/listening on tcp:\/\/127.0.0.1:(\d+)\n/)
    assert.strictEqual((await curl(`http://127.0.0.1:${port}/hello`)).text, "hello\n")
    server.child.kill("SIGTERM")
    assert.strictEqual((await server.ended).code, 0)
  })

  it("is refused without the header of a balancer that is trusted", async () => {
    const { port } = await serve(places["PROXY"]!.env)
    assert.notStrictEqual((await curl(`http://127.0.0.1:${port}/hello`)).code, 0)
  })

  it.each(["tcp", "tls", "unix"])("has its upload and /slow answered by a server that stops, over %s", async (name) => {
    const { env, to } = places[name]!
    const { port, stop } = await serve(env)
    const url = to(port)
    const slow = run("curl", ["-sS", "-v", ...at(url, "/slow")])
    const uploading = at(url, "/upload", "--data-binary", `@${body}`)
    const upload = run("curl", ["-sS", "-v", "--limit-rate", "2M", ...uploading])
    await Promise.all([slow.complains(/^> GET/m), upload.complains(/^> POST/m)])
    const stopped = await stop()
    const slowly = await slow.ended
    assert.deepStrictEqual([slowly.code, slowly.stdout], [0, "slow\n"])
    assert.match(slowly.stderr, /< connection: close/i)
    const { code, stdout } = await upload.ended
    assert.deepStrictEqual([code, stdout], [0, uploaded])
    assert.strictEqual(stopped.code, 0, stopped.stderr)
  })
})

it("ends the start with one line under a policy of workers", async () => {
  const { code, stderr, stdout } = await run(process.execPath, [main], {
    LISTEN: "tcp://127.0.0.1:0",
    POLICY: "pool:2"
  }).ended
  assert.deepStrictEqual([code, stdout], [1, ""])
  assert.match(stderr, /^[^\n]*"pool:2"[^\n]*HTTP runs where its layer is[^\n]*PREFORK[^\n]*\n$/)
})

it("echoes on the WebSocket of Node, and says goodbye at a stop", async () => {
  const { port, stop } = await serve()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`)
  const echoed = new Promise<unknown>((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)))
  const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)))
  socket.addEventListener("open", () => socket.send("hello"))
  assert.strictEqual(await echoed, "hello")
  const { code, stderr } = await stop()
  assert.deepStrictEqual([await closed, code], [1001, 0])
  assert.match(stderr, /stopped Web in \d+ ms: 1 completed, 0 interrupted/)
})

describe("beside adversaries", () => {
  const connect = (port: number): net.Socket => {
    const socket = net.connect({ port, host: "127.0.0.1" })
    socket.on("error", () => {})
    sockets.add(socket)
    return socket
  }
  const head = "GET /hello HTTP/1.1\r\nHost: x\r\n"

  /** What each connection of an adversary does, and how many there are. */
  const adversaries: Record<string, readonly [count: number, attack: (socket: net.Socket) => void]> = {
    "who never read": [50, (socket) => void socket.pause().write(`${head}\r\n`.repeat(2_000))],
    "who say nothing": [500, () => {}],
    "who send a byte now and then": [200, (socket) => void socket.write(head.slice(0, 20))],
    "who reset after half a request": [
      300,
      (socket) => void socket.write(head.slice(0, 20), () => socket.resetAndDestroy())
    ],
    "who half-close": [300, (socket) => void socket.end(`${head}\r\n`)],
    "who send heads without end": [50, (socket) => void socket.write(head + `X: ${"x".repeat(70_000)}\r\n`)],
    "who send a body without end": [
      20,
      (socket) =>
        void socket.write(`POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n${"x".repeat(65_536)}`)
    ],
    "who speak something else": [300, (socket) => void socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]))]
  }

  it.each(Object.keys(adversaries))("%s, others are served, and a stop ends", async (name) => {
    const { port, stop } = await serve({ DRAIN_TIMEOUT: "2s" })
    const [count, attack] = adversaries[name]!
    for (let i = 0; i < count; i++) {
      const socket = connect(port)
      socket.on("connect", () => attack(socket))
    }
    for (let i = 0; i < 10; i++) {
      const response = await fetch(`http://127.0.0.1:${port}/hello`)
      assert.strictEqual(await response.text(), "hello\n")
    }
    const { code, stderr } = await stop()
    assert.strictEqual(code, 0, stderr)
  })

  it("who speak no TLS, others are served", async () => {
    const { port, stop } = await serve(places["tls"]!.env)
    for (let i = 0; i < 300; i++) connect(port).write("GET / HTTP/1.1\r\n\r\n")
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca: fs.readFileSync(own.cert) })
    sockets.add(socket)
    socket.write(`${head}Connection: close\r\n\r\n`)
    let text = ""
    for await (const chunk of socket) text += String(chunk)
    assert.match(text, /hello\n$/)
    assert.strictEqual((await stop()).code, 0)
  })
})
