/** What adversaries do, by name. Each goes on until its time is over, and is bounded in connections and in rate. */
import { randomBytes } from "node:crypto"
import * as dgram from "node:dgram"
import { performance } from "node:perf_hooks"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { KeyPeer } from "../../packages/node/test/support/keyPeer.ts"
import { type Address, after, leave, open, openAll, type OpenOptions, type Opened } from "./clients.ts"

export interface AttackOptions extends OpenOptions {
  /** Connections. */
  readonly count?: number | undefined
  /** How often a second. */
  readonly rate?: number | undefined
  /** What each sends. */
  readonly text?: string | undefined
  /** How often it sends that. */
  readonly times?: number | undefined
}

/** Against whom, how, until when, and whom to tell that it has begun. */
interface Attack {
  (address: Address, options: AttackOptions, end: number, ready: (open?: number) => void): Promise<void>
}

const still = (end: number): boolean => performance.now() < end
const hold = (end: number): Promise<void> => after(Math.max(0, end - performance.now()))

/** Does something so often a second; what is late is not made up for by more than a hundred. */
const often = async (rate: number, end: number, f: (n: number) => Promise<unknown> | void): Promise<void> => {
  const began = performance.now()
  let pending = 0
  for (let n = 0; still(end);) {
    const due = Math.floor(((performance.now() - began) / 1_000) * rate)
    for (n = Math.max(n, due - 100); n < due && pending < 200; n++) {
      const doing = f(n)
      if (doing === undefined) continue
      pending++
      doing
        .catch(() => {})
        .finally(() => {
          pending--
        })
    }
    await after(2)
  }
}

/** Writes for as long as it is taken, and reads nothing. */
const pushAll = async (all: ReadonlyArray<Opened>, data: Buffer, end: number, bytes = Infinity): Promise<void> => {
  const left = all.map(() => bytes)
  while (still(end)) {
    for (const [i, { socket }] of all.entries()) {
      for (let n = 0; n < 8 && left[i]! > 0 && socket.writable && socket.writableLength < 65_536; n++) {
        socket.write(data.subarray(0, left[i]))
        left[i]! -= data.length
      }
    }
    await after(2)
  }
}

/** Opens, and has each byte a second sent by all. */
const dripping =
  (raw: boolean, byte: string): Attack =>
  async (address, { count = 500, ...options }, end, ready) => {
    const all = await openAll(address, count, { ...options, raw })
    ready(all.length)
    while (still(end)) {
      for (const { socket } of all) if (socket.writable) socket.write(byte)
      await after(1_000)
    }
  }

export const attacks = {
  neverReads: async (address, { count = 50 }, end, ready) => {
    const all = await openAll(address, count)
    ready(all.length)
    await pushAll(all, Buffer.from(`${"y".repeat(63)}\n`.repeat(1_000)), end)
  },

  /** Requests of two bytes, as many as are taken: a million of each connection at most. */
  floods: async (address, { count = 1 }, end, ready) => {
    const all = await openAll(address, count)
    ready(all.length)
    await pushAll(all, Buffer.from("x\n".repeat(32_768)), end, 2_000_000)
  },

  /** None at all: pipelines, and reads everything. */
  reads: async (address, { count = 4, text = "hello\n", times = 100 }, end, ready) => {
    const all = await openAll(address, count)
    ready(all.length)
    for (const { socket } of all) socket.resume()
    await pushAll(all, Buffer.from(text.repeat(times)), end)
  },

  /** None at all: many connections of one peer, each of which asks for one thing at a time. */
  asksOneByOne: async (address, { count = 1_000, text = "x\n", ...options }, end, ready) => {
    const all = await openAll(address, count, options)
    for (const { socket } of all) {
      socket.on("data", () => still(end) && socket.write(text))
      socket.write(text)
    }
    ready(all.length)
    await hold(end)
  },

  /** None at all: many that connect at once, and say nothing yet. */
  arrives: async (address, { count = 400, ...options }, end, ready) => {
    const all = await Promise.allSettled(Array.from({ length: count }, () => open(address, options)))
    ready(all.filter(({ status }) => status === "fulfilled").length)
    await hold(end)
  },

  /** Says something so many times, and reads nothing of the answers. */
  asks: async (address, { count = 8, text = "stream\n", times = 128, ...options }, end, ready) => {
    const all = await openAll(address, count, options)
    const data = Buffer.from(text.repeat(times))
    for (const { socket } of all) socket.write(data)
    ready(all.length)
    await hold(end)
  },

  /** The same, with all that the text may be: as much as is taken. */
  pushes: async (address, { count = 8, text = "x\n" }, end, ready) => {
    const all = await openAll(address, count)
    ready(all.length)
    await pushAll(all, Buffer.from(text), end)
  },

  /** One new connection after another, each of which sends as much as is taken. */
  piles: async (address, { count = 2_000, text = "x\n", times = 128 }, end, ready) => {
    const data = Buffer.from(text)
    const all: Array<Opened> = []
    ready()
    for (let n = 0; still(end) && n < count; n++) {
      const one = await open(address, { millis: 2_000 }).catch(() => undefined)
      if (one === undefined) await after(50)
      else {
        for (let i = 0; i < times; i++) one.socket.write(data)
        all.push(one)
      }
      await after(1)
    }
    await hold(end)
  },

  holds: async (address, { count = 200, ...options }, end, ready) => {
    const all = await openAll(address, count, options)
    ready(all.length)
    await hold(end)
  },

  /** Connections that send nothing, two of each of many addresses; one that is closed comes again. */
  silences: async (address, { count = 800 }, end, ready) => {
    const from = (n: number): string => `127.1.${(n >> 1) >> 8}.${(n >> 1) & 255}`
    const come = async (n: number): Promise<void> => {
      if (!still(end)) return
      const one = await open(address, { raw: true, from: from(n) }).catch(() => undefined)
      if (one === undefined) return void after(100).then(() => come(n))
      one.raw.resume().once("close", () => void after(10).then(() => come(n)))
      one.raw.once("end", () => one.raw.destroy())
    }
    for (let n = 0; n < count; n += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => come(n + i)))
    ready(count)
    await hold(end)
  },

  drips: dripping(false, "a"),
  dripsBelowTls: dripping(true, "\x16"),

  connects: async (address, { rate = 5_000 }, end, ready) => {
    ready()
    await often(rate, end, async () => {
      const one = await open(address, { raw: true, millis: 2_000 })
      one.raw.destroy()
    })
  },

  resets: async (address, { rate = 500 }, end, ready) => {
    ready()
    await often(rate, end, async () => {
      const one = await open(address, { raw: true, millis: 2_000 })
      one.raw.write("hello\nhal")
      leave(one)
    })
  },

  /** Asks for more than it reads, and resets at once. */
  asksAndResets: async (address, { rate = 500, text = "slow\nhello\nstream\n" }, end, ready) => {
    ready()
    const data = Buffer.from(text)
    await often(rate, end, async () => {
      const one = await open(address, { millis: 3_000 })
      await new Promise((written) => one.socket.write(data, written))
      leave(one)
    })
  },

  halfCloses: async (address, { count = 500 }, end, ready) => {
    const all = await openAll(address, count)
    ready(all.length)
    for (const { socket } of all) socket.end("hello\nhel")
    await hold(end)
  },

  oversizes: async (address, { rate = 200 }, end, ready) => {
    ready()
    const data = Buffer.alloc(70_000, "z")
    await often(rate, end, async () => {
      const one = await open(address, { millis: 2_000 })
      await new Promise((written) => one.socket.write(data, written))
      one.socket.destroy()
    })
  },

  garbage: async (address, { rate = 300 }, end, ready) => {
    ready()
    await often(rate, end, async () => {
      const one = await open(address, { raw: true, millis: 2_000 })
      one.raw.resume().write(randomBytes(300))
      await after(100)
      one.raw.destroy()
    })
  },

  handshakes: async (address, { version }, end, ready) => {
    ready()
    while (still(end)) {
      const one = await open(address, { version, millis: 5_000 }).catch(() => undefined)
      one?.socket.destroy()
    }
  },

  /** New keys of TLS 1.3, all at once on all connections, and again. Nothing is read. */
  newKeys: async ({ port }, { count = 40, times = 4_000 }, end, ready) => {
    for (let isFirst = true; still(end); isFirst = false) {
      const all: Array<readonly [KeyPeer, Buffer]> = []
      while (all.length < count && still(end)) {
        const one = await KeyPeer.connect(port)
        one.raw.pause()
        all.push([one, one.records.updates(times)])
      }
      if (isFirst) {
        ready(all.length)
        // Whoever is beside it has to be there.
        await after(2_000)
      }
      for (const [{ raw }, data] of all) raw.write(data)
      await after(500)
      for (const [{ raw }] of all) raw.destroy()
    }
  },

  /** A greeting of TLS each, and away: the server signs for nobody. */
  greetings: async (address, { rate = 2_000 }, end, ready) => {
    const hello = await greeting()
    ready()
    await often(rate, end, async () => {
      const one = await open(address, { raw: true, millis: 2_000 })
      one.raw.resume().write(hello)
      await after(100)
      one.raw.destroy()
    })
  },

  datagrams: async ({ host, port }, { count = 200, rate = 5_000, text = "x" }, end, ready) => {
    const sockets = Array.from({ length: count }, () => dgram.createSocket("udp4").on("error", () => {}))
    ready()
    await often(rate, end, (n) => void sockets[n % count]!.send(text, port, host))
    for (const socket of sockets) socket.close()
  }
} satisfies Record<string, Attack>

export type AttackName = keyof typeof attacks

const greeting = (): Promise<Buffer> =>
  new Promise((resolve) => {
    const nowhere = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        resolve(chunk)
        done()
      }
    })
    tls.connect({ socket: nowhere, rejectUnauthorized: false }).on("error", () => {})
  })
