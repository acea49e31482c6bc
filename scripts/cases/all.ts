/** The cases: inputs and moments that have gone wrong once, each against a program as an operator starts it. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { setTimeout as after } from "node:timers/promises"
import { ask, Client, commandOf, equal, family, probe, root, type Trial } from "./trial.ts"

export type Case = (trial: Trial) => Promise<void>

/** Policies whose handlers run elsewhere, and the one whose do not. */
const policies = ["fiber", "thread:1", "pool:1"]

const proxy2 = (source: string): Uint8Array => {
  const address = Buffer.alloc(16)
  address.writeUInt16BE(0xffff, 10)
  source.split(".").forEach((part, i) => address.writeUInt8(Number(part), 12 + i))
  const head = Buffer.from("0d0a0d0a000d0a515549540a21210024", "hex")
  return Buffer.concat([head, address, address, Buffer.from([0, 1, 0, 2])])
}

export const all: Readonly<Record<string, Case>> = {
  "an empty line between lines of JSON": async (trial) => {
    const port = await trial.start({ PROGRAM: "json" }).port()
    equal(await ask(port, '{"a":1}\n\n{"b":2}\n'), '{"a":1}\n{"b":2}\n', "answers")
  },
  "an IPv4-mapped peer in both forms of the PROXY header": async (trial) => {
    const port = await trial.start({ ACT: "peer", LISTEN: "tcp://127.0.0.1:0?proxyProtocol=127.0.0.1" }).port()
    const one = await ask(port, "PROXY TCP6 ::ffff:10.1.2.3 ::ffff:10.1.2.4 1 2\r\nx\n")
    const two = await ask(port, Buffer.concat([proxy2("10.1.2.3"), Buffer.from("x\n")]))
    if (one === "") throw new Error("no answer")
    equal(two, one, "names")
  },
  "a multicast interface that is not there": async (trial) => {
    const program = trial.start({ LISTEN: "udp://[::]:0?multicast=ff02::1:3&multicastInterface=::%25nosuch0" })
    equal([await program.end(), /listening/.test(program.stdout)], [1, false], "status, and whether it listened")
  },
  "a wall clock that is set": async (trial) => {
    const clock = join(trial.directory, "clock.mjs")
    writeFileSync(
      clock,
      "const real = Date.now; let by = 0; Date.now = () => real() + by; process.on('SIGUSR2', () => { by += Number(process.env.STEP) })"
    )
    const args = ["--import", clock, probe]
    for (const [step, idle, closes] of [
      ["3600000", "1m", false],
      ["-3600000", "1s", true]
    ] as const) {
      const program = trial.start({ STEP: step, IDLE_TIMEOUT: idle }, { args })
      const client = new Client(await program.port()).send("a\n")
      await client.lines(1)
      program.signal("SIGUSR2")
      equal(
        await client.closes(closes ? undefined : 2_000),
        closes,
        `closed for being idle ${idle}, clock ${step} ms off`
      )
    }
  },
  "senders that are slow, and never whole": async (trial) => {
    const port = await trial.start({ MAX_CONNECTIONS: "4", FRAME_TIMEOUT: "1s" }).port()
    const slow = Array.from({ length: 4 }, () => new Client(port))
    for (let i = 0; i < 60 && slow.some(({ isClosed }) => !isClosed); i++) {
      for (const client of slow) client.send("x")
      await after(200)
    }
    // A connection counts until its peer's last packet was seen: right after that, one more may still be refused.
    let answer = ""
    for (let i = 0; i < 20 && answer === ""; i++) {
      answer = await ask(port, "hello\n")
      if (answer === "") await after(100)
    }
    equal(answer, "hello\n", "what somebody else is answered")
  },
  "a chunk of empty lines, with a page for each": async (trial) => {
    const program = trial.start({ ACT: "page" })
    const port = await program.port()
    const greedy = new Client(port).send("\n".repeat(65_536))
    greedy.socket.pause()
    equal((await ask(port, "x\n")).length, 16_385, "bytes for somebody else")
    greedy.socket.destroy()
    program.signal("SIGTERM")
    equal(await program.end(), 0, "status")
  },
  "large answers that nobody reads": async (trial) => {
    const program = trial.start({ ACT: "big" })
    const port = await program.port()
    const greedy = new Client(port).send("5000000\n".repeat(128))
    greedy.socket.pause()
    equal(await ask(port, "3\n"), "xxx\n", "what somebody else is answered")
  },
  "a deadline of thirty days": async (trial) => {
    for (const policy of policies.slice(1)) {
      const port = await trial.start({ ACT: "sleep", POLICY: `${policy},deadline=30 days` }).port()
      equal(await ask(port, "200\n"), "200\n", `answer under ${policy}`)
    }
  },
  "frames that cross to a worker": async (trial) => {
    const frames = { lengthPrefixed: Buffer.from("\0\0\0\u000512345"), delimited: "12345\n", terminated: "12345\n" }
    for (const policy of policies.slice(1)) {
      for (const [name, frame] of Object.entries(frames)) {
        const program = trial.start({ FRAMES: name, POLICY: policy })
        equal(await ask(await program.port(), frame), frame.toString(), `${name} under ${policy}`)
        program.signal("SIGTERM")
      }
    }
  },
  "an environment that looks like a test runner's": async (trial) => {
    for (const env of [{ VITEST: "true" }, { NODE_TEST_CONTEXT: "child-v8" }, { JEST_WORKER_ID: "1" }]) {
      const port = await trial.start({ POLICY: "pool:1", ...env }).port()
      equal(await ask(port, "x\n"), "x\n", JSON.stringify(env))
    }
  },
  "a program that goes elsewhere while it loads": async (trial) => {
    // Beside the packages that it imports.
    const directory = join(root, "scripts/cases", `.elsewhere-${process.pid}`)
    mkdirSync(directory)
    try {
      writeFileSync(join(directory, "first.mjs"), "")
      writeFileSync(join(directory, "app.mjs"), 'process.chdir("/"); await import("../probe.ts")')
      for (const env of [{}, { POLICY: "pool:1" }, { PREFORK: "2" }]) {
        const program = trial.start(env, { args: ["--import", "./first.mjs", "app.mjs"], cwd: directory })
        equal(await ask(await program.port(), "x\n"), "x\n", JSON.stringify(env))
        program.signal("SIGTERM")
        equal(await program.end(), 0, "status")
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  },
  "SIGTERM while the first workers start": async (trial) => {
    for (const policy of ["fiber", "pool:2", "thread:2", "process"]) {
      const program = trial.start({ POLICY: policy })
      const port = await program.port()
      const clients = Array.from({ length: 6 }, () => new Client(port).send("x\n"))
      await Promise.all(
        clients.map(({ socket }) => (socket.connecting ? new Promise((r) => socket.once("connect", r)) : 0))
      )
      await after(50)
      program.signal("SIGTERM")
      for (const client of clients) equal(await client.lines(1), "x\n", `answer under ${policy}`)
    }
  },
  "SIGTERM while the first copy starts": async (trial) => {
    for (const millis of [100, 300, 500, 800, 1_200]) {
      const program = trial.start({ PREFORK: "2" })
      await after(millis)
      program.signal("SIGTERM")
      const status = await program.end()
      // Before the program is loaded the signal is the system's.
      if (status !== 0 && status !== "SIGTERM")
        throw new Error(`status ${status} after ${millis} ms: ${program.stderr}`)
    }
  },
  "SIGTERM to every process of a program": async (trial) => {
    for (const env of [{}, { PREFORK: "2" }, { POLICY: "pool:2,each=4" }]) {
      const program = trial.start({ ACT: "sleep", ...env })
      const port = await program.port()
      // The workers are there.
      await Promise.all(Array.from({ length: 4 }, () => ask(port, "1\n")))
      const clients = Array.from({ length: 4 }, () => new Client(port).send("1000\n"))
      await after(300)
      for (const pid of [program.child.pid ?? 0, ...family(program.child.pid ?? 0)]) process.kill(pid, "SIGTERM")
      for (const client of clients) equal(await client.lines(1), "1000\n", `answer with ${JSON.stringify(env)}`)
      equal(await program.end(), 0, "status")
    }
  },
  "a copy that is stopped, with the defaults": async (trial) => {
    const stop = async (policy: string): Promise<void> => {
      const program = trial.start({ ACT: "held", PREFORK: "2", POLICY: policy })
      const port = await program.port()
      const clients = Array.from({ length: 8 }, () => new Client(port).send("1\n"))
      const pids = await Promise.all(clients.map(async (client) => Number(await client.lines(1))))
      const copies = family(program.child.pid ?? 0).filter((pid) => commandOf(pid).includes("probe.ts"))
      const stopped = copies.find((pid) => pids.some((one) => [pid, ...family(pid)].includes(one))) ?? 0
      const inside = [stopped, ...family(stopped)]
      for (const client of clients) client.send("7000\n")
      await after(200)
      process.kill(stopped, "SIGSTOP")
      const began = performance.now()
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(port, "1\n", 10_000)))
      equal(answers.filter((answer) => !/^\d+\n$/.test(answer)).length, 0, `new ones without an answer under ${policy}`)
      const seconds = (performance.now() - began) / 1_000
      if (seconds > 10) throw new Error(`new ones were answered after ${seconds} s under ${policy}`)
      for (const [i, client] of clients.entries()) {
        if (inside.includes(pids[i]!)) continue
        equal(await client.lines(2), `${pids[i]}\n`.repeat(2), `answer of the other copy under ${policy}`)
      }
      program.signal("SIGTERM")
      equal(await program.end(), 0, "status")
    }
    // A worker of a new copy starts after it, on a busy machine too late for ten seconds.
    await stop("fiber")
  },
  "a port that somebody else has, for copies": async (trial) => {
    const other = net.createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => other.once("listening", resolve))
    const { port } = other.address() as net.AddressInfo
    const program = trial.start({ PREFORK: "2", LISTEN: `tcp://127.0.0.1:${port}` })
    const status = await program.end()
    other.close()
    equal([status, program.stdout], [1, ""], "status, and what it says")
    if (!/in use/.test(program.stderr)) throw new Error(`it says ${program.stderr}`)
  },
  "the same program again, for copies": async (trial) => {
    const first = trial.start({ PREFORK: "2" })
    const port = await first.port()
    const second = trial.start({ PREFORK: "2", LISTEN: `tcp://127.0.0.1:${port}` })
    equal([await second.end(), second.stdout], [1, ""], "status of the second, and what it says")
    equal(await ask(port, "x\n"), "x\n", "answer of the first")
  },
  "PREFORK beside LISTEN, where that is": async (trial) => {
    const program = trial.start({ PROGRAM: "provider", LISTEN: "" })
    const port = await program.port()
    equal(await ask(port, "x\n"), "x\n", "answer")
    const nodes = family(program.child.pid ?? 0).filter((pid) => commandOf(pid).includes("probe.ts"))
    equal(nodes.length, 2, "copies")
  },
  "a log that nobody reads any more": async (trial) => {
    for (const env of [{}, { POLICY: "thread:1" }, { POLICY: "pool:1" }, { PREFORK: "2" }]) {
      const program = trial.start({ ACT: "log", ...env })
      const port = await program.port()
      program.child.stderr?.destroy()
      for (let i = 0; i < 3; i++) equal(await ask(port, "x\n"), "x\n", `answer ${i} with ${JSON.stringify(env)}`)
    }
  },
  "two servers whose handlers die, in a log for machines": async (trial) => {
    const program = trial.start({ PROGRAM: "two", LISTEN: "" })
    await program.says(/(listening on [^\n]*\n[^]*){2}/)
    const ports = [...program.stdout.matchAll(/listening on \S+:(\d+)/g)].map(([, port]) => Number(port))
    for (const port of ports) await ask(port, "x\n")
    const logged = () => `${program.stdout}${program.stderr}`
    await program.says(/a bug[^]*a bug/, logged)
    const lines = logged()
      .split("\n")
      .filter((line) => line.startsWith("{") && line.includes("a bug"))
    for (const name of ["Accounts", "Prices"]) {
      const named = lines.filter(
        (line) => (JSON.parse(line) as { annotations: { server?: string } }).annotations.server === name
      )
      equal(named.length, 1, `lines of ${name}`)
    }
  },
  "an outcome under workers, told once": async (trial) => {
    for (const policy of policies) {
      const program = trial.start({ ACT: "never", OUTCOMES: "1", POLICY: policy })
      await ask(await program.port(), "x\n")
      await program.says(/not answered within/, () => program.stderr)
      program.signal("SIGTERM")
      await program.end()
      equal(program.stderr.match(/not answered within/g)?.length, 1, `lines under ${policy}`)
    }
  },
  "a server that nobody serves": async (trial) => {
    const program = trial.start({ PROGRAM: "forgotten" })
    await program.says(/WARN[^\n]*Probe: nobody serves it/, () => program.stderr)
  },
  "two declarations with one key": async (trial) => {
    const program = trial.start({ PROGRAM: "copied", LISTEN: "" })
    equal(await program.end(), 1, "status")
    if (!/Accounts/.test(program.stderr)) throw new Error(`it says ${program.stderr}`)
  },
  "errors that a program cannot start with": async (trial) => {
    const said = { tagged: "NoDatabase", wrapped: "ECONNREFUSED", promise: "no route", plain: "Plain" }
    for (const [how, what] of Object.entries(said)) {
      const program = trial.start({ PROGRAM: "fails", HOW: how })
      equal(await program.end(), 1, "status")
      if (!program.stderr.includes(what)) throw new Error(`${how}: it says ${JSON.stringify(program.stderr)}`)
    }
  }
}
