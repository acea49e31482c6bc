/** What is done to a server of any protocol, with what that protocol makes of it. Each is bounded in connections and in rate. */
import * as dgram from "node:dgram"
import { performance } from "node:perf_hooks"
import { type Address, after, leave, open, openAll, type Opened } from "../clients.ts"

export type How =
  | "holds"
  | "pushes"
  | "floods"
  | "sips"
  | "drips"
  | "halves"
  | "connects"
  | "resets"
  | "bombs"
  | "datagrams"

export interface Attack {
  readonly how: How
  /** What is sent, in latin1: a character for each byte. */
  readonly text?: string | undefined
  /** Others to send in turn: each connection, or each datagram, has the next. */
  readonly texts?: ReadonlyArray<string> | undefined
  /** Connections; of datagrams, ports. */
  readonly count?: number | undefined
  /** How often a second. */
  readonly rate?: number | undefined
  /** Before all else: what is said once, and how long is waited for what is answered to it, in milliseconds. */
  readonly first?: string | undefined
  readonly settle?: number | undefined
}

type Way = (address: Address, attack: Attack, end: number, ready: (open?: number) => void) => Promise<void>

const still = (end: number): boolean => performance.now() < end
const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1")
const textsOf = ({ text = "", texts }: Attack): ReadonlyArray<Buffer> => (texts ?? [text]).map(bytesOf)

/** So often a second; what is late is not made up for by more than a hundred. */
const often = async (rate: number, end: number, f: (n: number) => Promise<unknown> | void): Promise<void> => {
  const began = performance.now()
  let pending = 0
  for (let n = 0; still(end); await after(2)) {
    const due = Math.floor(((performance.now() - began) / 1_000) * rate)
    for (n = Math.max(n, due - 100); n < due && pending < 200; n++) {
      const doing = f(n)
      if (doing === undefined) continue
      pending++
      doing.catch(() => {}).finally(() => pending--)
    }
  }
}

/** Connections that have said the first word, if there is one. */
const opened = async (address: Address, { count = 50, first, settle = 300 }: Attack): Promise<Array<Opened>> => {
  const all = await openAll(address, count)
  if (first === undefined) return all
  for (const { socket } of all) socket.resume().write(bytesOf(first))
  await after(settle)
  for (const { socket } of all) socket.pause()
  return all
}

export const ways: Readonly<Record<How, Way>> = {
  /** Says nothing. */
  holds: async (address, attack, end, ready) => {
    ready((await opened(address, attack)).length)
    await after(end - performance.now())
  },

  /** Sends as much as is taken, again and again, and reads nothing. */
  pushes: async (address, attack, end, ready) => {
    const all = await opened(address, attack)
    ready(all.length)
    const texts = textsOf(attack)
    for (; still(end); await after(2)) {
      for (const [i, { socket }] of all.entries()) {
        for (let n = 0; n < 8 && socket.writable && socket.writableLength < 65_536; n++) {
          socket.write(texts[i % texts.length]!)
        }
      }
    }
  },

  /** The same, and reads everything. */
  floods: async (address, attack, end, ready) => {
    const all = await opened(address, attack)
    ready(all.length)
    for (const { socket } of all) socket.resume()
    const [text] = textsOf(attack)
    for (; still(end); await after(2)) {
      for (const { socket } of all) if (socket.writable && socket.writableLength < 65_536) socket.write(text!)
    }
  },

  /** Asks once for much, and reads sixteen bytes a second of it. */
  sips: async (address, attack, end, ready) => {
    const all = await opened(address, attack)
    ready(all.length)
    const [text] = textsOf(attack)
    for (const { socket } of all) socket.write(text!)
    for (; still(end); await after(1_000)) for (const { socket } of all) socket.read(16)
  },

  /** A byte a second. */
  drips: async (address, attack, end, ready) => {
    const all = await opened(address, { ...attack, count: attack.count ?? 500 })
    ready(all.length)
    const [text] = textsOf(attack)
    for (let at = 0; still(end); at++) {
      const byte = text!.subarray(at % text!.length, (at % text!.length) + 1)
      for (const { socket } of all) if (socket.writable) socket.write(byte)
      await after(1_000)
    }
  },

  /** Half a request, half-closed. */
  halves: async (address, attack, end, ready) => {
    const all = await opened(address, { ...attack, count: attack.count ?? 500 })
    ready(all.length)
    const [text] = textsOf(attack)
    for (const { socket } of all) socket.end(text)
    await after(end - performance.now())
  },

  connects: async (address, { rate = 2_000 }, end, ready) => {
    ready()
    await often(rate, end, async () => (await open(address, { raw: true, millis: 2_000 })).raw.destroy())
  },

  /** Half a request each, and a reset. */
  resets: async (address, attack, end, ready) => {
    ready()
    const texts = textsOf(attack)
    await often(attack.rate ?? 300, end, async (n) => {
      const one = await open(address, { millis: 2_000 })
      one.raw.write(texts[n % texts.length]!)
      leave(one)
    })
  },

  /** Something that is too large, or a bomb, on a connection each. */
  bombs: async (address, attack, end, ready) => {
    ready()
    const texts = textsOf(attack)
    await often(attack.rate ?? 100, end, async (n) => {
      const one = await open(address, { millis: 2_000 })
      one.socket.resume()
      if (attack.first !== undefined) {
        one.socket.write(bytesOf(attack.first))
        await after(attack.settle ?? 300)
      }
      await new Promise((written) => one.socket.write(texts[n % texts.length]!, written))
      await after(100)
      one.socket.destroy()
    })
  },

  datagrams: async ({ host, port }, attack, end, ready) => {
    const { count = 200, rate = 5_000 } = attack
    const sockets = Array.from({ length: count }, () => dgram.createSocket("udp4").on("error", () => {}))
    ready()
    const texts = textsOf(attack)
    await often(rate, end, (n) => void sockets[n % count]!.send(texts[n % texts.length]!, port, host))
    for (const socket of sockets) socket.close()
  }
}
