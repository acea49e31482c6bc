import type * as Peer from "@socketserver/core/Peer"
import * as Remote from "@socketserver/core/Remote"
import type * as net from "node:net"
import { performance } from "node:perf_hooks"
import type * as tls from "node:tls"
import { hold } from "./readStop.ts"
import { resetSocket } from "./resetting.ts"

/**
 * How often the peer of a TLS 1.3 connection may take new keys (KeyUpdate).
 *
 * Each such record has 27 bytes, and costs as much as a request. It is no data, so
 * nobody above TLS hears of it, and what OpenSSL answers waits where nothing counts
 * it. OpenSSL bounds neither; BoringSSL takes 32 in a row. All that tells of one is
 * the line for a log of keys, which comes in the middle of a read. The line itself is
 * kept nowhere.
 */
class NewKeys {
  /** Called once there were too many, in a turn of its own. Nothing more is read by then. */
  onTooMany: (() => void) | undefined = undefined
  isTooMany = false
  private readonly socket: tls.TLSSocket
  private readonly raw: net.Socket
  /** The first byte of the line: whether a client takes them, or a server. */
  private readonly first: number
  private left = mostKeys
  private lastAt = performance.now()
  private lastRead = 0

  /** Those of the same peer, where it is a client. */
  private readonly siblings: Set<NewKeys> | undefined

  constructor(socket: tls.TLSSocket, raw: net.Socket, from: "client" | "server", peer: Peer.Peer) {
    this.socket = socket
    this.raw = raw
    this.first = (from === "client" ? "C" : "S").charCodeAt(0)
    all.set(socket, this)
    socket.on("keylog", this.onLine)
    this.siblings = from === "client" ? this.join(Remote.peerKey(peer)) : undefined
  }

  private join(peerKey: string): Set<NewKeys> {
    const siblings = byPeer.get(peerKey) ?? new Set()
    byPeer.set(peerKey, siblings.add(this))
    this.socket.once("close", () => {
      siblings.delete(this)
      if (siblings.size === 0 && byPeer.get(peerKey) === siblings) byPeer.delete(peerKey)
    })
    return siblings
  }

  // CLIENT_TRAFFIC_SECRET_N, or SERVER_.
  private readonly onLine = (line: Buffer): void => {
    if (line[0] !== this.first || line[22] !== letterN || this.isTooMany) return
    const now = performance.now()
    const { bytesRead } = this.socket
    const earned = (now - this.lastAt) / millisForOne + (bytesRead - this.lastRead) / bytesForOne
    this.left = Math.min(mostKeys, this.left + earned) - 1
    this.lastAt = now
    this.lastRead = bytesRead
    if (this.left < 0) this.stop()
  }

  private stop(): void {
    this.isTooMany = true
    // What has been read is worked off, 64 KiB at most: TLS is in the middle of it.
    hold(this.raw)
    this.holdSiblings()
    setImmediate(() => {
      if (this.onTooMany !== undefined) this.onTooMany()
      else resetSocket(this.socket, this.raw)
    })
  }

  /**
   * Its peer may have as much on each of its connections, which would all be worked off before anybody else's: they
   * are read again in the next turn of the event loop.
   */
  private holdSiblings(): void {
    const held: Array<() => void> = []
    for (const each of this.siblings ?? []) if (each.reads) held.push(each.wait())
    if (held.length > 0) setImmediate(() => held.forEach((goOn) => goOn()))
  }

  private get reads(): boolean {
    const { _handle: handle } = this.socket as { readonly _handle?: { readonly reading?: boolean } | null }
    return !this.isTooMany && handle?.reading === true
  }

  private wait(): () => void {
    const goOn = hold(this.raw)
    // Whoever has it may not want to read any more.
    return () => {
      if (this.reads) goOn()
    }
  }
}

/** Bounds them from now on, for as long as the socket is there. `from` is whether the peer is a client. */
export const boundKeys = (socket: tls.TLSSocket, raw: net.Socket, from: "client" | "server", peer: Peer.Peer): void =>
  void new NewKeys(socket, raw, from, peer)

/** Those of a socket; none where it is not encrypted. */
export const newKeysOf = (socket: net.Socket): NewKeys | undefined => all.get(socket)

const all = new WeakMap<net.Socket, NewKeys>()
const byPeer = new Map<string, Set<NewKeys>>()

const letterN = "N".charCodeAt(0)

/** At once; what honest peers need is one in some millions of records. */
export const mostKeys = 32
const millisForOne = 60_000
const bytesForOne = 1_048_576
