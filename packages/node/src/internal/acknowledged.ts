import type * as fs from "node:fs"
import type * as net from "node:net"
import { performance } from "node:perf_hooks"

/**
 * What the system has sent to peers and they have not acknowledged. A peer that
 * reads slowly makes it fall long before the system takes more of a program,
 * which it does by a third of its buffer at a time: over a megabyte.
 *
 * Only Linux tells it, in a list of all sockets. So that is read for those alone
 * whose peers seem not to read, not in the event loop, and not often.
 */
export class Acknowledged {
  private readonly read: (path: string, done: (text: string | undefined) => void) => void
  private readonly now: () => number
  private asked = new Map<number, Unacknowledged>()
  private isReading = false
  private nextAt = 0

  constructor(
    read: (path: string, done: (text: string | undefined) => void) => void = readFile,
    now: () => number = () => performance.now()
  ) {
    this.read = read
    this.now = now
  }

  /** Looks soon how much a socket has that is not acknowledged. Whoever wants to know asks again. */
  ask(socket: Unacknowledged): void {
    this.asked.set(socket.inode, socket)
    const now = this.now()
    if (this.isReading || now < this.nextAt) return
    this.isReading = true
    const { asked } = this
    this.asked = new Map()
    this.look(asked, [...paths], now, 0)
  }

  private look(asked: Map<number, Unacknowledged>, left: Array<string>, began: number, size: number): void {
    const path = left.shift()
    if (path === undefined || asked.size === 0) {
      this.isReading = false
      // Reading a list takes about a microsecond for each line: a hundredth of the time at most, however many there are.
      this.nextAt = began + Math.max(leastMillis, size / lineBytes / 10)
      return
    }
    this.read(path, (text) => {
      if (text !== undefined) find(text, asked)
      this.look(asked, left, began, size + (text?.length ?? 0))
    })
  }
}

/** A socket of which it is asked. */
export interface Unacknowledged {
  /** By which the list names it. */
  readonly inode: number
  /** What it had when it was looked at first, and last. */
  first: number | undefined
  last: number
}

/** Loaded once somebody seems not to read: the smallest client needs no files. */
const files = () => process.getBuiltinModule("node:fs") as typeof fs

/** A socket by its descriptor, which it keeps; none where it has none, or is not of TCP. */
export const socketOf = (raw: net.Socket): Unacknowledged | undefined => {
  const fd = (raw as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd
  if (process.platform !== "linux" || raw.remoteFamily === undefined || fd === undefined || fd < 0) return undefined
  // oxlint-disable-next-line socketserver/no-try -- a descriptor that was closed is no socket any more
  try {
    return { inode: files().fstatSync(fd).ino, first: undefined, last: 0 }
  } catch {
    return undefined
  }
}

/** Notes what a list says of those that are asked for. */
const find = (text: string, asked: Map<number, Unacknowledged>): void => {
  for (const [, queue, inode] of text.matchAll(line)) {
    const socket = asked.get(Number(inode))
    if (socket === undefined) continue
    socket.last = parseInt(queue as string, 16)
    socket.first ??= socket.last
    asked.delete(socket.inode)
    if (asked.size === 0) return
  }
}

// https://docs.kernel.org/networking/proc_net_tcp.html
const line = /^ *\d+: \S+ \S+ \S\S ([0-9A-F]{8}):\S+ \S+ \S+ +\d+ +\d+ (\d+) /gm

const paths = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]

const leastMillis = 500
const lineBytes = 150

const readFile = (path: string, done: (text: string | undefined) => void): void =>
  files().readFile(path, "latin1", (error, text) => done(error === null ? text : undefined))

/** Of all sockets of this program. */
export const acknowledged = new Acknowledged()
