/** Clients that behave well, one for each protocol: what they ask, and whether the answer is right. */
import * as dgram from "node:dgram"
import { fstatSync, openSync, readSync } from "node:fs"
import type * as net from "node:net"
import { performance } from "node:perf_hooks"
import { type Address, after, codeOf, open } from "../clients.ts"
import { quantile, type Seen } from "../victim.ts"

/** Asks something, and fails where the answer is not what it should be. */
interface Asking {
  readonly ask: (n: number) => Promise<void>
  readonly close: () => void
}

interface Probe {
  readonly open: (address: Address, options: ProbeOptions) => Promise<Asking>
  /** How often one of them asks before another takes its place. */
  readonly asks?: number | undefined
}

export type Name = "redis" | "dns" | "syslog" | "smtp" | "xmlrpc" | "statsd"

export interface ProbeOptions {
  readonly name: Name
  readonly seconds: number
  readonly millis?: number | undefined
  /** Where what is sent is to be found: of servers that answer nobody. */
  readonly file?: string | undefined
}

const wrong = (what: string) => Object.assign(new Error(what), { code: `WRONG ${what.slice(0, 60)}` })

/** What is read until it is enough, within a time. */
const reading = (socket: net.Socket, millis: number) => {
  let got = ""
  let look = (): void => {}
  socket.setEncoding("latin1").on("data", (text: string) => {
    got += text
    look()
  })
  let isOver = false
  for (const end of ["end", "close", "error"]) {
    socket.on(end, () => {
      isOver = true
      look()
    })
  }
  return (isEnough: (text: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        clearTimeout(late)
        look = () => {}
        if (error !== undefined) return reject(error)
        const text = got
        got = ""
        resolve(text)
      }
      const late = setTimeout(() => done(Object.assign(new Error("late"), { code: "LATE" })), millis)
      look = () => {
        if (isEnough(got)) done()
        else if (isOver) done(Object.assign(new Error("closed"), { code: `CLOSED ${got.slice(0, 40)}` }))
      }
      look()
    })
}

const stream = async (address: Address, millis: number) => {
  const { raw, socket } = await open(address, { millis })
  return { socket, until: reading(socket, millis), close: () => void raw.destroy() }
}

const greeting = /^220 .*\r\n$/
const query = (n: number): Buffer => {
  const header = Buffer.from([(n >> 8) & 255, n & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([header, Buffer.from("\x04host\x07example\0\0\x01\0\x01", "latin1")])
}
/** The number of the query, no fault, an address. */
const answers = (bytes: Buffer, n: number): boolean =>
  bytes.length > 12 && bytes.readUInt16BE(0) === (n & 65_535) && (bytes[3]! & 15) === 0 && bytes.readUInt16BE(6) === 1

const probes: Readonly<Record<Name, Probe>> = {
  redis: {
    open: async (address, { millis = 5_000 }) => {
      const { close, socket, until } = await stream(address, millis)
      return {
        close,
        ask: async (n) => {
          socket.write(
            `*3\r\n$3\r\nSET\r\n$5\r\nprobe\r\n$6\r\n${String(n).padStart(6, "0")}\r\n*2\r\n$3\r\nGET\r\n$5\r\nprobe\r\n`
          )
          const expected = `+OK\r\n$6\r\n${String(n).padStart(6, "0")}\r\n`
          const got = await until((text) => text.length >= expected.length)
          if (got !== expected) throw wrong(got)
        }
      }
    }
  },

  dns: {
    open: async (address, { millis = 1_000 }) => {
      if (address.kind !== "udp") {
        const { close, socket, until } = await stream(address, 5_000)
        return {
          close,
          ask: async (n) => {
            const message = query(n)
            socket.write(Buffer.concat([Buffer.from([0, message.length]), message]))
            const got = Buffer.from(
              await until((text) => text.length >= 2 && text.length >= 2 + Buffer.from(text, "latin1").readUInt16BE()),
              "latin1"
            )
            if (!answers(got.subarray(2), n)) throw wrong(got.toString("hex"))
          }
        }
      }
      const socket = dgram.createSocket("udp4").on("error", () => {})
      await new Promise<void>((resolve) => socket.connect(address.port, address.host, resolve))
      return {
        close: () => void socket.close(),
        ask: (n) =>
          new Promise((resolve, reject) => {
            const done = (error?: Error): void => {
              clearTimeout(late)
              socket.removeAllListeners("message")
              if (error === undefined) resolve()
              else reject(error)
            }
            const late = setTimeout(() => done(Object.assign(new Error("lost"), { code: "LOST" })), millis)
            // What comes late is the answer to another.
            socket.on("message", (bytes) => {
              if (answers(bytes, n)) done()
            })
            socket.send(query(n))
          })
      }
    }
  },

  /** A line in a file: nobody is answered. */
  syslog: {
    open: async (address, { file = "", millis = 5_000 }) => {
      const { close, socket } = await stream(address, millis)
      const more = following(file)
      const mark = `${process.pid}-${Math.round(performance.now() * 1_000)}`
      return {
        close,
        ask: async (n) => {
          const text = `probe ${mark}-${n};`
          socket.write(`<13>1 - host app - - - ${text}\n`)
          const end = performance.now() + millis
          for (let got = more(); !got.includes(text); got = got.slice(-text.length) + more()) {
            if (performance.now() > end) throw Object.assign(new Error("late"), { code: "LATE" })
            await after(1)
          }
        }
      }
    }
  },

  /** A command of a dialogue, and now and then a dialogue of its own with a message. */
  smtp: {
    asks: 40,
    open: async (address, { millis = 5_000 }) => {
      const { close, socket, until } = await stream(address, millis)
      const first = await until((text) => greeting.test(text))
      if (!first.startsWith("220 ")) throw wrong(first)
      return {
        close,
        ask: async (n) => {
          const message = n % 20 === 1
          const envelope = "HELO probe\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
          socket.write(message ? `${envelope}Subject: ${n}\r\n\r\ntext\r\n.\r\n` : "NOOP\r\n")
          const got = await until((text) => (text.match(/\n/g)?.length ?? 0) >= (message ? 5 : 1))
          if (!/^250 [^\n]*\r\n$/.test(got.split("\n").slice(-2).join("\n"))) throw wrong(got)
        }
      }
    }
  },

  xmlrpc: {
    open: async (address, { millis = 5_000 }) => {
      const { close, socket, until } = await stream(address, millis)
      return {
        close,
        ask: async (n) => {
          const call = `<?xml version="1.0"?><methodCall><methodName>add</methodName><params><param><value><int>${n}</int></value></param><param><value><int>1</int></value></param></params></methodCall>`
          socket.write(
            `POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: ${call.length}\r\n\r\n${call}`
          )
          const got = await until((text) => text.includes("</methodResponse>"))
          if (!got.includes(`>${n + 1}<`)) throw wrong(got)
        }
      }
    }
  },

  /** A connection that is read to its end, and closed: nobody is answered. */
  statsd: {
    asks: 1,
    open: async (address, { millis = 5_000 }) => {
      const { close, socket, until } = await stream(address, millis)
      return {
        close,
        ask: async () => {
          socket.end("probe:1|c\n")
          await until(() => socket.readableEnded)
        }
      }
    }
  }
}

/** What has been appended to a file since it was asked for last, from now on. */
const following = (file: string): (() => string) => {
  const fd = openSync(file, "a+")
  const buffer = Buffer.alloc(1_048_576)
  let at = fstatSync(fd).size
  return () => {
    const size = readSync(fd, buffer, 0, buffer.length, at)
    at += size
    return buffer.toString("latin1", 0, size)
  }
}

/** Asks every 5 ms for so long, over one connection after another, and over a new one now and then. */
export const probe = async (address: Address, options: ProbeOptions): Promise<Seen> => {
  const { asks = 200, open }: Probe = probes[options.name]
  const kept: Array<number> = []
  const fresh: Array<number> = []
  const bad: Record<string, number> = {}
  const end = performance.now() + options.seconds * 1_000
  let current: Asking | undefined
  let left = 0
  for (let n = 1; performance.now() < end; n++) {
    const isFresh = left === 0
    const began = performance.now()
    try {
      if (current === undefined || isFresh) {
        current?.close()
        current = undefined
        current = await open(address, options)
        left = asks
      }
      const asked = performance.now()
      await current.ask(n)
      if (isFresh) fresh.push(performance.now() - began)
      kept.push(performance.now() - (asks === 1 ? began : asked))
      left--
    } catch (error) {
      const what = `${isFresh ? "new" : "kept"} ${codeOf(error)}`
      bad[what] = (bad[what] ?? 0) + 1
      current?.close()
      current = undefined
      left = 0
      await after(10)
    }
    await after(5)
  }
  current?.close()
  return {
    asked: kept.length,
    median: quantile(kept, 0.5),
    p99: quantile(kept, 0.99),
    max: quantile(kept, 1),
    freshMedian: quantile(fresh, 0.5),
    freshP99: quantile(fresh, 0.99),
    bad
  }
}
