/** A peer over TLS 1.3 that makes its records by itself, so that it can take new keys whenever a test says so. */
import { createCipheriv, createHmac } from "node:crypto"
import * as net from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"

const cipher = "TLS_AES_128_GCM_SHA256"

/** RFC 8446, 7.1: HKDF-Expand-Label, for what fits into one block. */
const expand = (secret: Buffer, name: string, length: number): Buffer => {
  const label = Buffer.from(`tls13 ${name}`)
  const info = Buffer.concat([Buffer.from([0, length, label.length]), label, Buffer.from([0, 1])])
  return createHmac("sha256", secret).update(info).digest().subarray(0, length)
}

/** What one side sends after its handshake. */
export class Records {
  private secret: Buffer
  private sequence: number

  constructor(secret: Buffer, sequence = 0) {
    this.secret = secret
    this.sequence = sequence
  }

  data(text: string): Buffer {
    return this.record(23, Buffer.from(text))
  }

  /** Each byte in a record of its own. */
  drops(text: string): Buffer {
    return Buffer.concat([...text].map((each) => this.data(each)))
  }

  /** KeyUpdate, with the request for one in return. */
  update(): Buffer {
    const made = this.record(22, Buffer.from([24, 0, 0, 1, 1]))
    this.secret = expand(this.secret, "traffic upd", 32)
    this.sequence = 0
    return made
  }

  updates(count: number): Buffer {
    return Buffer.concat(Array.from({ length: count }, () => this.update()))
  }

  private record(type: number, body: Buffer): Buffer {
    const nonce = Buffer.from(expand(this.secret, "iv", 12))
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.sequence++) >>> 0, 8)
    const inner = Buffer.concat([body, Buffer.from([type])])
    const head = Buffer.from([23, 3, 3, (inner.length + 16) >> 8, (inner.length + 16) & 255])
    const sealed = createCipheriv("aes-128-gcm", expand(this.secret, "key", 16), nonce).setAAD(head)
    return Buffer.concat([head, sealed.update(inner), sealed.final(), sealed.getAuthTag()])
  }
}

/** The secret of a line for a log of keys, if it is that one. */
export const secretOf = (line: Buffer, name: string): Buffer | undefined => {
  const [label, , secret] = line.toString().trim().split(" ")
  return label === name && secret !== undefined ? Buffer.from(secret, "hex") : undefined
}

export class KeyPeer {
  readonly raw: net.Socket
  readonly records: Records
  /** What the server has answered so far. */
  answered = ""
  closed = false
  private constructor(raw: net.Socket, secure: tls.TLSSocket, records: Records) {
    this.raw = raw
    this.records = records
    secure.on("data", (chunk: Buffer) => (this.answered += chunk))
    raw.on("close", () => (this.closed = true))
  }

  /** Connects; `first` is what it sends together with the end of its handshake. */
  static connect(port: number, first?: (records: Records) => Buffer): Promise<KeyPeer> {
    return new Promise((resolve, reject) => {
      const raw = net.connect({ port, host: "127.0.0.1", noDelay: true })
      let records: Records | undefined
      const below = new Duplex({
        read: () => {},
        write: (chunk: Buffer, _, done) => {
          const more = records === undefined ? undefined : first?.(records)
          if (more !== undefined) first = undefined
          raw.write(more === undefined ? chunk : Buffer.concat([chunk, more]))
          done()
        }
      })
      raw.on("data", (chunk) => below.push(chunk)).on("error", () => {})
      const secure = tls.connect({ socket: below, rejectUnauthorized: false, minVersion: "TLSv1.3", ciphers: cipher })
      secure.on("keylog", (line) => {
        const secret = secretOf(line, "CLIENT_TRAFFIC_SECRET_0")
        if (secret !== undefined) records = new Records(secret)
      })
      secure.once("error", reject).on("error", () => {})
      secure.once("secureConnect", () =>
        // Its last words leave after this.
        setImmediate(() => resolve(new KeyPeer(raw, secure, records as Records)))
      )
    })
  }

  /** Sends until it is told not to, or the server has reset it. */
  flood(): void {
    const more = () => {
      if (this.closed || this.raw.destroyed) return
      if (this.raw.write(this.records.updates(500))) setImmediate(more)
      else this.raw.once("drain", more)
    }
    more()
  }
}
