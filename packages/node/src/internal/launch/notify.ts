/** How a service manager is told something: loaded where there is one. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { spawn } from "node:child_process"
import { load } from "../libc.ts"
import { systemError, UnixDatagram } from "../unixDatagram.ts"
import * as unixAddress from "../unixAddress.ts"

type Send = (message: string) => void

/** Calls back with what sends to a manager's socket: our own datagrams, or else the program that systemd has for it. */
export const notify = (socket: string, then: (send: Send) => void): void => {
  if (!isAddress(socket)) return then(commands(socket))
  const own = Effect.flatMap(Effect.mapError(load, Error), (libc) => Effect.fromResult(UnixDatagram.open(libc, 1)))
  Effect.runCallback(own, {
    onExit: (exit) => then(Exit.isSuccess(exit) ? datagrams(exit.value, socket) : commands(socket))
  })
}

/** A path, or an abstract name. Newer managers also listen on other kinds of sockets. */
const isAddress = (socket: string): boolean => /^[/@]./.test(socket) && Buffer.byteLength(socket) < 108

/** One after the other; what the kernel has no room for is sent again in a while. */
const datagrams = (own: UnixDatagram, socket: string): Send => {
  const address = unixAddress.encode(socket)
  const waiting: Array<string> = []
  let tries = 0
  const flush = (): void => {
    for (let [message] = waiting; message !== undefined; [message] = waiting) {
      const code = own.send(Buffer.from(message), address)
      if (code === "EAGAIN" && ++tries < mostTries) return void setTimeout(flush, pauseMillis).unref()
      tries = 0
      waiting.shift()
      if (code !== undefined)
        say(`it could not be told ${message.split("\n")[0]}: ${systemError(code, "sendto").message}`)
    }
  }
  return (message) => {
    if (isFor(message, waiting) && waiting.push(message) === 1) flush()
  }
}

/** A sign of life is of the moment: another one waits already, or something that is one, too. */
const isFor = (message: string, waiting: ReadonlyArray<string>): boolean =>
  message !== "WATCHDOG=1" || waiting.length === 0

const mostTries = 50
const pauseMillis = 100

/** A process for each message, one after the other; what still waits when the program ends is told with its end. */
const commands = (socket: string): Send => {
  const waiting: Array<string> = []
  let isMissing = false
  const start = (message: string) =>
    spawn("systemd-notify", message.split("\n"), { env: { ...process.env, NOTIFY_SOCKET: socket }, stdio: "ignore" })
  // The first is on its way.
  process.once("exit", () => {
    for (const message of waiting.slice(1)) Result.try(() => start(message))
  })
  const next = (): void => {
    const [message] = waiting
    if (message === undefined) return
    let over = false
    const done = (problem?: string) => {
      if (over) return
      over = true
      if (problem !== undefined) say(`it could not be told ${message.split("\n")[0]}: ${problem}`)
      if (isMissing) waiting.length = 0
      waiting.shift()
      next()
    }
    // What the system refuses for want of memory is thrown.
    const started = Result.try({ try: () => start(message), catch: String })
    if (Result.isFailure(started)) return done(started.failure)
    const child = started.success
    child.on("error", (error: NodeJS.ErrnoException) => {
      isMissing = error.code === "ENOENT"
      done(isMissing ? remedy : error.message)
    })
    child.on("exit", (code, signal) => done(code === 0 ? undefined : `systemd-notify ended with ${code ?? signal}`))
    child.unref()
  }
  return (message) => {
    if (!isMissing && isFor(message, waiting) && waiting.push(message) === 1) next()
  }
}

const remedy = "npm install koffi@3.3, install systemd-notify, or do without (Type=exec)"

const said = new Set<string>()

/** Each thing once: a watchdog would say the same for ever. */
const say = (line: string): void => {
  if (said.has(line)) return
  said.add(line)
  process.stderr.write(`NOTIFY_SOCKET names a service manager, and ${line}\n`)
}
