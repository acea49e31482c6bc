/** What adversaries have done once, and signals at odd moments: each in a few seconds, of what `pnpm hostile` shows at length. */
import { lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { setTimeout as after } from "node:timers/promises"
import { certificate } from "../../packages/bench/src/certificate.ts"
import { leave, open, type Opened } from "../hostile/clients.ts"
import type { Case } from "./all.ts"
import { ask, Client, equal, type Program, root, type Trial } from "./trial.ts"

const connected = ({ socket }: Client): Promise<unknown> =>
  socket.connecting ? new Promise((done) => socket.once("connect", done)) : Promise.resolve()

/** What somebody else is answered, who comes from another address. */
const newcomer = async (port: number, text = "hello\n"): Promise<string> => {
  const client = new Client(port, "127.0.0.2").send(text)
  const got = await client.lines(1)
  client.socket.destroy()
  return got
}

/** Has asked for as much as the text says, and reads none of it. */
const unreading = async (port: number, text: string): Promise<Client> => {
  const client = new Client(port).send(text)
  await connected(client)
  client.socket.pause()
  return client
}

const ends = async (program: Program, signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
  program.signal(signal)
  equal(await program.end(), 0, "status")
}

const secured = (trial: Trial): string => {
  const pem = certificate()
  const [cert, key] = [join(trial.directory, "cert.pem"), join(trial.directory, "key.pem")]
  writeFileSync(cert, pem.cert)
  writeFileSync(key, pem.key)
  return `tls://127.0.0.1:0?cert=${cert}&key=${key}`
}

/** A connection over TLS, after its handshake. */
const shaken = (port: number, from?: string): Promise<Opened> =>
  open({ kind: "tls", host: "127.0.0.1", port, path: "" }, { from })

export const hostile: Readonly<Record<string, Case>> = {
  "a thousand streams that nobody reads": async (trial) => {
    for (const policy of ["fiber", "connection"]) {
      const port = await trial.start({ ACT: "stream", POLICY: policy }).port()
      await Promise.all(Array.from({ length: 8 }, () => unreading(port, "endless\n".repeat(128))))
      await after(300)
      equal(await newcomer(port), "hello\n", `what somebody else is answered under ${policy}`)
    }
  },
  "streams that nobody reads, in the only place": async (trial) => {
    for (const policy of ["sequential", "thread:1", "pool:1"]) {
      const port = await trial.start({ ACT: "stream", POLICY: policy, PLACE_TIMEOUT: "1s" }).port()
      const greedy = await unreading(port, "endless\n".repeat(128))
      equal(await newcomer(port), "hello\n", `what somebody else is answered under ${policy}`)
      greedy.socket.resume()
      equal(await greedy.closes(), true, "whether who does not read is cut off")
    }
  },
  "a value of the store that is asked for ten thousand times": async (trial) => {
    const program = trial.start(
      { KV_LISTEN: "tcp://127.0.0.1:0", ADMIN_LISTEN: "tcp://127.0.0.1:0" },
      { args: [join(root, "examples/compose/main.ts")] }
    )
    const port = await program.port()
    equal(await ask(port, `SET a ${"v".repeat(65_000)}\n`), "OK\n", "answer")
    await unreading(port, "GET a\n".repeat(10_922))
    await after(300)
    equal(await newcomer(port, "SET b 1\n"), "OK\n", "what somebody else is answered")
    await ends(program)
  },
  "all places taken by one who says nothing": async (trial) => {
    for (const listen of ["tcp://127.0.0.1:0", secured(trial)]) {
      const port = await trial.start({ MAX_CONNECTIONS: "40", LISTEN: listen }).port()
      const silent = Array.from({ length: 50 }, () => new Client(port))
      await Promise.all(silent.map(connected))
      // For a second nobody makes room.
      await after(1_500)
      if (listen.startsWith("tls")) (await shaken(port, "127.0.0.2")).socket.destroy()
      else equal(await newcomer(port), "hello\n", "what somebody else is answered")
    }
  },
  "TLS peers that ask for more than they read, and reset": async (trial) => {
    const program = trial.start({ ACT: "stream", LISTEN: secured(trial) })
    const port = await program.port()
    const descriptors = (): number => readdirSync(`/proc/${program.child.pid}/fd`).length
    const first = await shaken(port)
    first.socket.destroy()
    await after(300)
    const before = descriptors()
    for (let round = 0; round < 6; round++) {
      const all = await Promise.all(Array.from({ length: 10 }, () => shaken(port)))
      for (const one of all) {
        one.socket.write(`hello\nstream\nstream\n${"x".repeat(70_000)}\n`)
        leave(one)
      }
    }
    for (let waited = 0; waited < 5_000 && descriptors() > before; waited += 100) await after(100)
    equal(descriptors() <= before, true, `whether the descriptors are back (${before}, now ${descriptors()})`)
    program.signal("SIGTERM")
    const [, millis] = await program.says(/stopped Probe in (\d+) ms/, () => program.stderr)
    equal(Number(millis) < 5_000, true, "whether nothing was waited for at the stop")
  },
  "pipelines of short and of long answers under workers": async (trial) => {
    const expected = `hello\n${`${"y".repeat(2_000)}\n`.repeat(50)}`.repeat(10)
    for (const policy of ["pool:2", "thread:2"]) {
      const port = await trial.start({ ACT: "stream", POLICY: policy }).port()
      const clients = Array.from({ length: 6 }, () => new Client(port))
      const talk = async (client: Client): Promise<void> => {
        for (let round = 0; round < 3; round++) {
          client.received = Buffer.alloc(0)
          const got = await client.send("hello\nstream\n".repeat(10)).lines(510)
          equal(got === expected, true, `whether all of round ${round} has come under ${policy}: ${got.length} bytes`)
        }
      }
      await Promise.all(clients.map(talk))
    }
  },
  "a handler that loops in a worker": async (trial) => {
    for (const policy of ["pool:2", "thread:2"]) {
      const program = trial.start({ ACT: "loop", POLICY: policy, DRAIN_TIMEOUT: "1s" })
      const port = await program.port()
      equal(await newcomer(port), "hello\n", "answer")
      new Client(port).send("loop\n")
      for (let i = 0; i < 5; i++) equal(await newcomer(port), "hello\n", `answer beside it under ${policy}`)
      await ends(program)
    }
  },
  "a handler that loops in the program, under its watchdog": async (trial) => {
    const program = trial.start({ ACT: "loop", WATCHDOG: "500ms" })
    new Client(await program.port()).send("loop\n")
    equal(await program.end(), "SIGKILL", "how it ends")
  },
  "a directory of a socket that leads to itself, at the stop": async (trial) => {
    for (const env of [{}, { PREFORK: "2" }]) {
      const above = join(trial.directory, "run")
      rmSync(above, { recursive: true, force: true })
      mkdirSync(above)
      const program = trial.start({ ACT: "sleep", LISTEN: `unix://${above}/s`, ...env })
      await program.says(/listening on/)
      const socket = net.connect(`${above}/s`).setEncoding("utf8")
      let got = ""
      socket.on("data", (text: string) => (got += text))
      socket.write("600\n")
      await after(200)
      rmSync(above, { recursive: true })
      symlinkSync(above, above)
      await ends(program)
      equal(got, "600\n", "what was in flight")
      equal(lstatSync(above).isSymbolicLink(), true, "whether what is there now has stayed")
    }
  },
  "a second signal": async (trial) => {
    for (const env of [{}, { POLICY: "pool:1" }, { POLICY: "thread:1" }, { PREFORK: "2" }]) {
      const program = trial.start({ ACT: "sleep", ...env })
      const port = await program.port()
      equal(await ask(port, "1\n"), "1\n", "answer")
      await connected(new Client(port).send("30000\n"))
      await after(200)
      program.signal("SIGTERM")
      await after(300)
      program.signal("SIGINT")
      equal(await program.end(), 130, `status with ${JSON.stringify(env)}`)
    }
  },
  "SIGTERM in the middle of a handshake and of a PROXY header": async (trial) => {
    const listens = [
      [secured(trial), Buffer.alloc(0)],
      [secured(trial), Buffer.from("16030102000100", "hex")],
      ["tcp://127.0.0.1:0?proxyProtocol=127.0.0.0/8&proxyTimeout=60s", Buffer.from("PROXY TCP4")]
    ] as const
    for (const [listen, begin] of listens) {
      const program = trial.start({ LISTEN: listen })
      const client = new Client(await program.port()).send(begin)
      await connected(client)
      await after(200)
      const began = performance.now()
      await ends(program)
      equal(performance.now() - began < 5_000, true, "whether the stop has not waited for it")
    }
  },
  "SIGTERM in the middle of a restart": async (trial) => {
    for (const millis of [20, 400, 900]) {
      const program = trial.start({ PREFORK: "2" })
      await program.port()
      program.signal("SIGHUP")
      await after(millis)
      await ends(program)
    }
  },
  "a copy that is stopped": async (trial) => {
    const program = trial.start({ ACT: "pid", PREFORK: "2", HANG_TIMEOUT: "1s" })
    const port = await program.port()
    const first = Number(await ask(port, "x\n"))
    process.kill(first, "SIGSTOP")
    for (let waited = 0; waited < 100; waited++) {
      const pids = await Promise.all(Array.from({ length: 4 }, () => ask(port, "x\n", 300)))
      if (pids.every((pid) => pid !== "")) break
      await after(100)
    }
    for (let i = 0; i < 8; i++) equal(Number(await ask(port, "x\n")) > 0, true, "whether somebody new is answered")
    await ends(program)
  }
}
