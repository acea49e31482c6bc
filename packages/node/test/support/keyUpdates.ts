/** Records of TLS 1.3 that a client of Node does not send: new keys, each of which asks for an answer. */
import { createCipheriv, createHmac } from "node:crypto"
import * as net from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"

const derived = (secret: Buffer, label: string, length: number): Buffer => {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])])
  return createHmac("sha256", secret).update(info).digest().subarray(0, length)
}

/** The first record under a secret: a new key, and the question for one (RFC 8446, 4.6.3). */
const keyUpdate = (secret: Buffer): Buffer => {
  const inner = Buffer.from([24, 0, 0, 1, 1, 22])
  const header = Buffer.from([23, 3, 3, 0, inner.length + 16])
  const cipher = createCipheriv("aes-128-gcm", derived(secret, "key", 16), derived(secret, "iv", 12)).setAAD(header)
  return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
}

/** A connection that has shaken hands, and can send so many new keys. It reads nothing, or nobody looks at it. */
export const flooding = (port: number, reads: boolean) =>
  new Promise<{ readonly raw: net.Socket; readonly flood: (count: number) => void }>((resolve, reject) => {
    const raw = net.connect({ port, host: "127.0.0.1", noDelay: true })
    raw.on("error", () => {})
    const below = new Duplex({ read: () => {}, write: (chunk, _, done) => void raw.write(chunk, done) })
    raw.on("data", (chunk) => below.push(chunk))
    const socket = tls.connect({
      socket: below,
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      ciphers: "TLS_AES_128_GCM_SHA256"
    })
    let secret: Buffer | undefined
    socket.on("keylog", (line: Buffer) => {
      const [label, , hex = ""] = line.toString().trim().split(" ")
      if (label === "CLIENT_TRAFFIC_SECRET_0") secret = Buffer.from(hex, "hex")
    })
    socket.once("error", reject)
    socket.once("secureConnect", () => {
      raw.removeAllListeners("data")
      if (reads) raw.resume()
      else raw.pause()
      const flood = (count: number): void => {
        const records: Array<Buffer> = []
        for (let i = 0; i < count; i++) {
          records.push(keyUpdate(secret!))
          secret = derived(secret!, "traffic upd", 32)
        }
        raw.write(Buffer.concat(records))
      }
      resolve({ raw, flood })
    })
  })
