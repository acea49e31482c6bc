/**
 * The programs of `docs/how-to/from-other-servers.md`, before and after: each pair is asked the same, and answers the same.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as net from "node:net"
import { afterEach, expect, it } from "vitest"
import { patience } from "../packages/node/test/support/patience.ts"
import { ownPort } from "../packages/node/test/support/ports.ts"
import { findFences } from "./fences.ts"

const page = "docs/how-to/from-other-servers.md"
const programs = findFences().filter(({ document }) => document === page)

const running: Array<ChildProcess> = []
afterEach(() => running.splice(0).forEach((child) => child.kill("SIGKILL")))

/** Runs a fence as it stands, and waits until it listens. */
const run = async (code: string): Promise<{ readonly port: number; readonly child: ChildProcess }> => {
  const port = Number(await ownPort())
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", code], {
    env: { ...process.env, PORT: String(port), LISTEN: `tcp://127.0.0.1:${port}` },
    stdio: ["ignore", "ignore", "pipe"]
  })
  running.push(child)
  let said = ""
  child.stderr!.on("data", (data) => (said += data))
  for (const end = Date.now() + patience(); ;) {
    if (Date.now() > end) throw new Error(`it does not listen:\n${said}`)
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it has ended:\n${said}`)
    if (await listens(port)) return { port, child }
  }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve((socket.destroy(), true)))
    socket.on("error", () => setTimeout(resolve, 20, false))
  })

/** Sends bytes in pieces, ends its side, and returns all that comes. */
const talk = (port: number, pieces: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    let heard = ""
    socket.setEncoding("utf8").on("data", (text) => (heard += text))
    socket.on("end", () => resolve((socket.destroy(), heard)))
    socket.on("error", reject)
    const next = (at: number): void => {
      if (at === pieces.length) return void socket.end()
      socket.write(pieces[at]!, () => setImmediate(next, at + 1))
    }
    next(0)
  })

it("has a pair of programs for each of three origins", () => {
  expect(programs.length).toBe(6)
})

const asked = ["set a 1\nge", "t a\r\nget b\n", "set b héllo\nget b\nfly\n", "get a\n"]
const answers = "ok\n1\nnone\nok\nhéllo\ndo not know fly\n1\n"

it.each([
  ["node:net, before", 0],
  ["node:net, after", 1],
  ["NodeSocketServer, before", 2],
  ["NodeSocketServer, after", 3]
])("answers a client of lines: %s", async (_, index) => {
  const { port } = await run(programs[index]!.code)
  expect(await talk(port, asked)).toBe(answers)
})

/** One who is in a room: says something, and waits for the next that is said. */
interface Guest {
  readonly say: (message: object) => void
  readonly next: () => Promise<unknown>
}

const guestOf = (send: (text: string) => void): { readonly guest: Guest; readonly heard: (text: string) => void } => {
  const waiting: Array<(message: unknown) => void> = []
  const messages: Array<unknown> = []
  const heard = (text: string) => {
    const message: unknown = JSON.parse(text)
    const waits = waiting.shift()
    if (waits === undefined) messages.push(message)
    else waits(message)
  }
  const next = () =>
    messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve))
  return { guest: { say: (message) => send(JSON.stringify(message)), next }, heard }
}

const byWebSocket = (port: number): Promise<Guest> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    const { guest, heard } = guestOf((text) => socket.send(text))
    socket.addEventListener("message", ({ data }) => heard(String(data)))
    socket.addEventListener("open", () => resolve(guest))
    socket.addEventListener("error", () => reject(new Error("no WebSocket")))
  })

const byLines = (port: number): Promise<Guest> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1")
    const { guest, heard } = guestOf((text) => socket.write(`${text}\n`))
    let rest = ""
    socket.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + String(text)).split("\n")
      rest = lines.pop()!
      lines.forEach(heard)
    })
    socket.on("connect", () => resolve(guest))
    socket.on("error", reject)
  })

it.each([
  ["ws, before", 4, byWebSocket],
  ["ws, after", 5, byLines]
])("lets all hear what one says: %s", async (_, index, enter) => {
  const { port } = await run(programs[index]!.code)
  const [one, other] = [await enter(port), await enter(port)]
  const hears = async (guest: Guest, said: string) => {
    for (;;) if (((await guest.next()) as { readonly said: string }).said === said) return
  }
  // Whoever has heard itself is in the room, and has heard others who were there.
  one.say({ name: "one", text: "hello" })
  await hears(one, "one: hello")
  other.say({ name: "other", text: "hello" })
  await hears(other, "other: hello")
  await hears(one, "other: hello")
  one.say({ name: "one", text: "bye" })
  expect(await one.next()).toStrictEqual({ said: "one: bye" })
  expect(await other.next()).toStrictEqual({ said: "one: bye" })
})
