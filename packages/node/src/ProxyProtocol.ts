/**
 * For authors of transports: reads the header by which a balancer says who
 * has connected to it.
 *
 * It is HAProxy's PROXY protocol, versions 1 and 2
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), and comes
 * before a connection's first byte. Listeners read it with their option
 * `proxyProtocol`, so a server behind a balancer needs nothing from here.
 *
 * @since 0.1.0
 */
import * as net from "node:net"

/**
 * What was found at the front of a connection's input.
 *
 * **Details**
 *
 * - `Header`: a whole header of `size` bytes. `source` is who connected to the
 *   balancer; `"local"` is the balancer itself, as in its health checks, and
 *   `"unknown"` a peer that the balancer does not name
 * - `More`: so far it may be one
 * - `Malformed`: it is none
 *
 * @category models
 * @since 0.1.0
 */
export type Header =
  | { readonly _tag: "Header"; readonly source: Source | "local" | "unknown"; readonly size: number }
  | { readonly _tag: "More" }
  | { readonly _tag: "Malformed"; readonly reason: string }

/**
 * Who connected to the balancer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  /** An IP address. */
  readonly host: string
  readonly port: number
}

/**
 * Reads the header at the front of what has been received. It never needs more
 * than 65,551 bytes.
 *
 * **Example** (Reading a header of version 1)
 *
 * ```ts
 * import * as ProxyProtocol from "@socketserver/node/ProxyProtocol"
 *
 * const input = new TextEncoder().encode("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET /")
 *
 * ProxyProtocol.read(input) // => { _tag: "Header", source: { host: "192.0.2.1", port: 56324 }, size: 45 }
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const read = (input: Uint8Array): Header => {
  if (startsLike(input, signature)) return input.length < signature.length + 4 ? more : readBinary(input)
  if (startsLike(input, text)) return readText(input)
  return malformed("the connection does not start with a PROXY header")
}

// With its line end; a header of version 2 says its own length.
const longestText = 107

const signature = Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const text = new TextEncoder().encode("PROXY ")

const more: Header = { _tag: "More" }
const malformed = (reason: string): Header => ({ _tag: "Malformed", reason })
const header = (source: Source | "local" | "unknown", size: number): Header => ({ _tag: "Header", source, size })

/** Whether the input is, or may become, one that starts with `start`. */
const startsLike = (input: Uint8Array, start: Uint8Array): boolean => {
  for (let i = 0; i < start.length && i < input.length; i++) if (input[i] !== start[i]) return false
  return true
}

const readText = (input: Uint8Array): Header => {
  const end = input.subarray(0, longestText).indexOf(10)
  if (end === -1) {
    return input.length < longestText ? more : malformed(`the PROXY header has more than ${longestText} bytes`)
  }
  const line = latin1(input.subarray(0, end))
  if (!line.endsWith("\r")) return malformed("the PROXY header does not end with a carriage return and a newline")
  const [, family = "", source = "", destination = "", port = "", ...rest] = line.slice(0, -1).split(" ")
  if (family === "UNKNOWN") return header("unknown", end + 1)
  const kind = family === "TCP4" ? 4 : family === "TCP6" ? 6 : 0
  const fine =
    kind !== 0 && net.isIP(source) === kind && net.isIP(destination) === kind && isPort(port) && rest.length === 1
  return fine && isPort(rest[0] as string)
    ? header({ host: kind === 4 ? source : written(source), port: Number(port) }, end + 1)
    : malformed("the PROXY header has other fields than TCP4 or TCP6, two addresses and two ports")
}

const isPort = (text: string): boolean => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

const readBinary = (input: Uint8Array): Header => {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const command = view.getUint8(12)
  const family = view.getUint8(13)
  const length = view.getUint16(14)
  const size = 16 + length
  if (command >> 4 !== 2) return malformed(`the PROXY header has version ${command >> 4}`)
  if ((command & 0x0f) > 1) return malformed(`the PROXY header has command ${command & 0x0f}`)
  if (input.length < size) return more
  if ((command & 0x0f) === 0) return header("local", size)
  switch (family) {
    case 0x11: {
      if (length < 12) return malformed("the PROXY header is too short for IPv4 addresses")
      return header({ host: input.subarray(16, 20).join("."), port: view.getUint16(24) }, size)
    }
    case 0x21: {
      if (length < 36) return malformed("the PROXY header is too short for IPv6 addresses")
      const words = Array.from({ length: 8 }, (_, i) => view.getUint16(16 + 2 * i).toString(16))
      return header({ host: written(words.join(":")), port: view.getUint16(48) }, size)
    }
    default:
      // Datagrams, Unix sockets and what is not specified: the receiver may not refuse them, and knows no address.
      return header("unknown", size)
  }
}

/** An address of IPv6 as the platform writes that of a socket: a peer has one name, whoever says it. */
const written = (ip: string): string => new net.SocketAddress({ address: ip, family: "ipv6" }).address

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
