/** A TLS client by hand: what it sends leaves when the test says so, so that a reset can come at every step. */
import type * as net from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"

export class TlsPeer {
  readonly raw: net.Socket
  readonly secure: tls.TLSSocket
  /** What it has encrypted and not sent. */
  private held: Array<Buffer> = []
  private holds = false

  constructor(raw: net.Socket, version: tls.SecureVersion) {
    this.raw = raw
    const below = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _, done) => {
        if (this.holds) this.held.push(chunk)
        else this.raw.write(chunk)
        done()
      }
    })
    this.raw.on("data", (chunk) => below.push(chunk))
    this.raw.on("end", () => below.push(null))
    this.raw.on("error", () => {})
    this.secure = tls.connect({
      socket: below,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      allowHalfOpen: true
    } as tls.ConnectionOptions)
    this.secure.on("error", () => {})
  }

  /** From now on what it encrypts waits for {@link release}. */
  hold(): void {
    this.holds = true
  }

  /** Sends what it has held, in one piece. */
  release(): void {
    this.holds = false
    const held = Buffer.concat(this.held)
    this.held = []
    if (held.length > 0) this.raw.write(held)
  }

  /** Resets its connection at once. */
  reset(): void {
    this.raw.resetAndDestroy()
  }

  /** It has shaken hands, from its side. */
  get secured(): Promise<void> {
    return new Promise((resolve) => this.secure.once("secureConnect", resolve))
  }

  /** Encrypts, and waits until it has been. */
  write(text: string): Promise<void> {
    return new Promise((resolve) => this.secure.write(text, () => resolve()))
  }

  /** It has received something. */
  get heard(): Promise<void> {
    return new Promise((resolve) => this.secure.once("data", () => resolve()))
  }

  /** Its socket is closed. */
  get closed(): Promise<void> {
    return this.raw.closed ? Promise.resolve() : new Promise((resolve) => this.raw.once("close", () => resolve()))
  }
}
