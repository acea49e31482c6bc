/** Sockets of Node as clients: a well-behaved one asks by them, and adversaries attack by them. */
import * as net from "node:net"
import * as tls from "node:tls"

/** What a server announces, taken apart. */
export interface Address {
  readonly kind: "tcp" | "tls" | "udp" | "unix"
  readonly host: string
  readonly port: number
  readonly path: string
}

export const addressOf = (endpoint: string): Address => {
  if (endpoint.startsWith("unix:")) {
    return { kind: "unix", host: "", port: 0, path: endpoint.replace(/^unix:(\/\/)?/, "").split("?")[0]! }
  }
  const [, kind, host, port] = /^(tcp|tls|udp):\/\/\[?([^\]?]+)\]?:(\d+)/.exec(endpoint) ?? []
  if (port === undefined) throw new Error(`not an endpoint: ${endpoint}`)
  return { kind: kind as "tcp", host: host!, port: Number(port), path: "" }
}

/** A connection, with the socket below it where it is over TLS. */
export interface Opened {
  readonly socket: net.Socket
  readonly raw: net.Socket
}

export interface OpenOptions {
  /** The address to come from: another peer, for the server. */
  readonly from?: string | undefined
  /** Without a handshake, over TLS. */
  readonly raw?: boolean | undefined
  readonly millis?: number | undefined
  readonly version?: "TLSv1.2" | "TLSv1.3" | undefined
}

/** Connects, and shakes hands over TLS. Nothing is read until somebody reads. */
export const open = ({ host, kind, path, port }: Address, options: OpenOptions = {}): Promise<Opened> =>
  new Promise((resolve, reject) => {
    const { from, millis = 10_000, version } = options
    const raw = net.connect(
      kind === "unix"
        ? { path, allowHalfOpen: true }
        : { host, port, noDelay: true, allowHalfOpen: true, ...(from === undefined ? {} : { localAddress: from }) }
    )
    const fail = (error: Error): void => {
      clearTimeout(late)
      raw.destroy()
      reject(error)
    }
    const late = setTimeout(() => fail(Object.assign(new Error("no connection in time"), { code: "LATE" })), millis)
    const opened = (socket: net.Socket): void => {
      clearTimeout(late)
      for (const each of [socket, raw]) each.off("error", fail).on("error", () => {})
      resolve({ socket, raw })
    }
    raw.once("error", fail)
    raw.once("connect", () => {
      if (kind !== "tls" || options.raw === true) return opened(raw)
      const secured = tls.connect({
        socket: raw,
        rejectUnauthorized: false,
        ...(version === undefined ? {} : { minVersion: version, maxVersion: version })
      })
      secured.once("error", fail)
      secured.once("secureConnect", () => opened(secured))
    })
  })

/** As many connections as can be had of so many. */
export const openAll = async (address: Address, count: number, options?: OpenOptions): Promise<Array<Opened>> => {
  const all: Array<Opened> = []
  // A few at a time: a queue of the system that is full says nothing of the server.
  for (let from = 0; from < count; from += 50) {
    const some = Array.from({ length: Math.min(50, count - from) }, () => open(address, options))
    for (const result of await Promise.allSettled(some)) if (result.status === "fulfilled") all.push(result.value)
  }
  return all
}

/** Leaves with a reset. Over a Unix socket there is none. */
export const leave = ({ raw }: Opened): void => {
  if (raw.remoteFamily === undefined) raw.destroy()
  else raw.resetAndDestroy()
}

/** What is read up to the end of `lines` lines, or why nothing was. */
export const readLines = (socket: net.Socket, lines: number, millis: number): Promise<string> =>
  new Promise((resolve, reject) => {
    let got = ""
    let count = 0
    const end = (error?: Error): void => {
      clearTimeout(late)
      socket.off("data", onData).off("end", onEnd).off("close", onEnd)
      if (error === undefined) resolve(got)
      else reject(error)
    }
    const onData = (chunk: Buffer): void => {
      const text = chunk.toString("latin1")
      got += text
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++
      if (count >= lines) end()
    }
    const onEnd = (): void => end(Object.assign(new Error("closed"), { code: "CLOSED" }))
    const late = setTimeout(() => end(Object.assign(new Error("no answer in time"), { code: "LATE" })), millis)
    socket.on("data", onData).on("end", onEnd).on("close", onEnd)
    socket.resume()
  })

export const after = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

export const codeOf = (error: unknown): string => (error as { readonly code?: string }).code ?? String(error)
