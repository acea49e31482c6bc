import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import type { Libc } from "./libc.ts"
import type { Sender, UnixDatagram } from "./unixDatagram.ts"

/** What a peer may hold unread, at most, and where to look whether it reads. */
interface Holding {
  bytes: number
  inodes: ReadonlyArray<number> | undefined
}

/**
 * Divides a socket's send buffer among its peers.
 *
 * The kernel counts a datagram against its sender until it is read. The queue of
 * a peer is short, except of one that is connected to the sender: that may hold
 * the whole buffer, and nobody else would be answered any more. So each peer has
 * a share of what is free. Only one that seems to be beyond it is looked at:
 * whether its queue is empty, which the kernel tells by `sock_diag(7)`.
 *
 * Many that do not read fill it too, however little each holds. So once half of
 * it is unread, who holds something is given no more before it has read; and
 * the last quarter is kept for those that were given something before. Who has
 * not been given anything gets a quarter of what is left for newcomers, so that
 * a few large datagrams leave room for many small ones.
 */
export class Budget {
  private readonly system: Libc
  private readonly socket: UnixDatagram
  private readonly limitBytes: number
  private readonly suspectBytes: number
  /** No less than what nobody has read yet. */
  private unreadBytes = 0
  private readonly holdings = new Map<string, Holding>()
  private diag: number | undefined = undefined

  constructor(system: Libc, socket: UnixDatagram) {
    this.system = system
    this.socket = socket
    this.limitBytes = socket.unread.limitBytes
    this.suspectBytes = this.limitBytes / 16
  }

  /** Whether a peer may be sent so many bytes more. */
  allows({ address, key }: Sender, bytes: number): boolean {
    const holding = this.holdings.get(key)
    const { limitBytes } = this
    if (this.unreadBytes > limitBytes / 2) this.unreadBytes = this.socket.unread.bytes
    if (holding === undefined) {
      if (this.unreadBytes === 0 || this.unreadBytes + charge(bytes) <= limitBytes / 2) return true
      return charge(bytes) * 4 <= (limitBytes / 4) * 3 - this.unreadBytes
    }
    const crowded = this.unreadBytes > limitBytes / 2
    if (!crowded && holding.bytes + charge(bytes) <= this.suspectBytes) return true
    const { bytes: unread } = this.socket.unread
    if (unread === 0) {
      this.holdings.clear()
      return true
    }
    // No peer holds more than all together.
    holding.bytes = Math.min(holding.bytes, unread)
    if (!crowded && holding.bytes + charge(bytes) <= (limitBytes - unread) / 8) return true
    holding.inodes ??= inodesOf(address)
    if (holding.inodes.some((inode) => this.unreadAt(inode))) return false
    holding.bytes = 0
    holding.inodes = undefined
    return true
  }

  /** A peer has been sent so many bytes. */
  add({ key }: Sender, bytes: number): void {
    const holding = this.holdings.get(key)
    this.unreadBytes += charge(bytes)
    if (holding !== undefined) {
      holding.bytes += charge(bytes)
      return
    }
    if (this.holdings.size >= maxHoldings) {
      if (this.socket.unread.bytes === 0) this.holdings.clear()
      else this.holdings.delete(this.holdings.keys().next().value as string)
    }
    this.holdings.set(key, { bytes: charge(bytes), inodes: undefined })
  }

  close(): void {
    if (this.diag !== undefined) this.system.close(this.diag)
    this.diag = undefined
  }

  /** Whether something waits to be read at a socket; `false` also where the kernel does not tell. */
  private unreadAt(inode: number): boolean {
    const { system } = this
    const diag = this.diag ?? system.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    // No descriptor may be free at the moment: the next time one may be.
    if (diag < 0) return false
    this.diag = diag
    const bytes = new Uint8Array(
      new Uint32Array([
        // The header: length, type and flags, sequence, port.
        40,
        SOCK_DIAG_BY_FAMILY | (NLM_F_REQUEST << 16),
        0,
        0,
        // The request: family, states, inode, what to show, a cookie that means any.
        AF_UNIX,
        ~0,
        inode,
        UDIAG_SHOW_RQLEN,
        ~0,
        ~0
      ]).buffer
    )
    if (system.sendto(diag, bytes, bytes.length, MSG_DONTWAIT, null, 0) < 0) return false
    const length = system.recvfrom(diag, answerBytes, answerBytes.length, MSG_DONTWAIT, none, noneLength)
    // A header of 16 bytes, a message of 16, and the attribute that was asked for: 4 and twice 4.
    return length >= 44 && ((answer[1] as number) & 0xffff) === SOCK_DIAG_BY_FAMILY && (answer[9] as number) > 0
  }
}

/** What the kernel counts for a datagram: its buffer, a power of two with room for what describes it. */
const charge = (bytes: number): number => 2 ** Math.ceil(Math.log2(bytes + 320)) + 256

/** The sockets that have an address as their name; two, where one was bound over the path of another. */
const inodesOf = (address: Uint8Array): ReadonlyArray<number> => {
  const name = Buffer.from(address.subarray(2)).toString("latin1")
  const shown = name.startsWith("\0") ? name.replaceAll("\0", "@") : name.replace(/\0.*$/s, "")
  const list = Result.getOrElse(
    Result.try(() => readFileSync("/proc/net/unix", "latin1")),
    () => ""
  )
  // Num RefCount Protocol Flags Type St Inode Path
  return list.split("\n").flatMap((line) => {
    const [, inode, path] = /^(?:\S+ +){4}0002 +\S+ +(\d+) (.*)$/.exec(line) ?? []
    return path === shown ? [Number(inode)] : []
  })
}

const AF_UNIX = 1
const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST = 1
const UDIAG_SHOW_RQLEN = 0x10
const MSG_DONTWAIT = 0x40

// Peers that are known to have been sent something.
const maxHoldings = 1_024

const answer = new Uint32Array(64)
const answerBytes = new Uint8Array(answer.buffer)
const none = new Uint8Array(0)
const noneLength = new Uint32Array(1)
