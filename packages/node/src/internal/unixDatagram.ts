import * as Result from "effect/Result"
import { constants } from "node:os"
import { getSystemErrorMessage } from "node:util"
import { codeOf, type Libc, type Poll } from "./libc.ts"
import * as unixAddress from "./unixAddress.ts"

/** The sender of a datagram: its name, for people, its address, to answer it, and that as a key, to tell it apart. */
export interface Sender {
  readonly name: string
  readonly key: string
  readonly address: Uint8Array
}

/** What happens on a socket. */
export interface Receiver {
  /**
   * A datagram has come. `data` is its receiver's to keep, and shorter than
   * `sizeBytes` if the datagram was cut; `from` is absent if the sender has no
   * address.
   */
  readonly onMessage: (data: Uint8Array, from: Sender | undefined, sizeBytes: number) => void
  /** It cannot be read any more. */
  readonly onError: (error: NodeJS.ErrnoException) => void
}

/** What the kernel holds of what was sent and not read yet, and what it holds at most, in its own measure. */
export interface Unread {
  readonly bytes: number
  readonly limitBytes: number
}

/**
 * A Unix datagram socket. It reads nothing before `start`, from then on keeps
 * the process alive until `close`, and is used no more after that.
 */
export class UnixDatagram {
  /** Its path, its abstract name as `@name`, or `undefined`. */
  name: string | undefined
  private readonly libc: Libc
  private readonly fd: number
  private readonly maxBytes: number
  private receiver: Receiver | undefined = undefined
  private poll: Poll | undefined = undefined
  private reading = false
  private scheduled = false
  private failed = false
  private closed = false
  private readonly senders = new Map<string, Sender>()
  private writable: (() => void) | undefined = undefined

  private constructor(libc: Libc, fd: number, maxBytes: number) {
    this.libc = libc
    this.fd = fd
    this.maxBytes = maxBytes
    this.name = nameOf(libc, fd)
    if (buffer.length < maxBytes) buffer = Buffer.allocUnsafeSlow(maxBytes)
  }

  /** A new socket without a name. Of a datagram no more than `maxBytes` are read. */
  static open(libc: Libc, maxBytes: number): Result.Result<UnixDatagram, NodeJS.ErrnoException> {
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    return fd < 0 ? Result.fail(failure(libc, "socket")) : Result.succeed(new UnixDatagram(libc, fd, maxBytes))
  }

  /** A socket that the process was started with; `ENOTSOCK` or `EPROTOTYPE` if it is none of this kind. */
  static adopt(libc: Libc, fd: number, maxBytes: number): Result.Result<UnixDatagram, NodeJS.ErrnoException> {
    const domain = option(libc, fd, SO_DOMAIN)
    if (domain === undefined) return Result.fail(failure(libc, "getsockopt"))
    if (domain !== AF_UNIX || option(libc, fd, SO_TYPE) !== SOCK_DGRAM) {
      return Result.fail(systemError("EPROTOTYPE", "getsockopt"))
    }
    return Result.succeed(new UnixDatagram(libc, fd, maxBytes))
  }

  /** Gives it a path or an abstract name; without one, the kernel chooses an abstract one. */
  bind(path: string | undefined): NodeJS.ErrnoException | undefined {
    const address = unixAddress.encode(path)
    if (this.libc.bind(this.fd, address, address.length) < 0) return failure(this.libc, "bind", path)
    this.name = nameOf(this.libc, this.fd)
    return undefined
  }

  /** Sends to and receives from one socket only, by its path or abstract name, or by its address. */
  connect(to: string | Uint8Array): NodeJS.ErrnoException | undefined {
    const path = typeof to === "string" ? to : undefined
    const address = typeof to === "string" ? unixAddress.encode(to) : to
    return this.libc.connect(this.fd, address, address.length) < 0 ? failure(this.libc, "connect", path) : undefined
  }

  /** Lets the kernel hold so much of what was sent and not read yet, as far as the system allows it. */
  set sendBufferBytes(bytes: number) {
    this.libc.setsockopt(this.fd, SOL_SOCKET, SO_SNDBUF, new Uint32Array([bytes]), 4)
  }

  get unread(): Unread {
    const length = new Uint32Array([memory.byteLength])
    this.libc.getsockopt(this.fd, SOL_SOCKET, SO_MEMINFO, memory, length)
    return { bytes: memory[SK_MEMINFO_WMEM_ALLOC] as number, limitBytes: memory[SK_MEMINFO_SNDBUF] as number }
  }

  start(receiver: Receiver): void {
    this.receiver = receiver
    this.reading = true
    this.watch()
  }

  pause(): void {
    if (!this.reading) return
    this.reading = false
    this.watch()
  }

  resume(): void {
    if (this.reading || this.closed) return
    this.reading = true
    this.watch()
  }

  /** Reads what the kernel holds now. A sender that never rests does not hold it up. */
  readAll(): void {
    for (let i = 0; i < maxQueued && !this.closed && this.read(); i++);
  }

  /**
   * Sends a datagram, to `to` or where the socket is connected to. Returns the
   * code of the failure: `"EAGAIN"` if it has to wait.
   */
  send(data: Uint8Array, to?: Uint8Array): string | undefined {
    const { libc } = this
    if (this.closed) return "EBADF"
    const sent = libc.sendto(this.fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, to ?? null, to?.length ?? 0)
    if (sent >= 0) return undefined
    const code = libc.errno()
    return code === "EINTR" ? this.send(data, to) : code
  }

  /** Calls back, once, when the socket's own buffer has room, and the queue of the socket it is connected to. */
  onWritable(callback: () => void): void {
    this.writable = callback
    this.watch()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.reading = false
    this.poll?.close()
    this.libc.close(this.fd)
  }

  private watch(): void {
    if (this.closed) return
    const { reading: readable, writable } = this
    // Watching for a disconnection alone keeps the process alive, and finds nothing.
    const events = { readable, writable: writable !== undefined, disconnect: true }
    if (this.poll === undefined) this.poll = this.libc.poll(this.fd, events, this.ready)
    else this.poll.start(events, this.ready)
  }

  // libuv calls without Node's knowledge: nobody promises to run ticks and
  // promises afterwards. After an immediate Node does.
  private readonly ready = (status: number): void => {
    // libuv says only that there is an error, and has stopped watching.
    this.failed ||= status < 0
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(this.turn)
  }

  /** Some datagrams, not all, so that other sockets have their turn. What is left is reported again. */
  private readonly turn = (): void => {
    this.scheduled = false
    if (this.closed) return
    if (this.failed) return this.fail(systemError(codeOf(option(this.libc, this.fd, SO_ERROR) ?? 0), "poll", this.name))
    const { writable } = this
    if (writable !== undefined) {
      this.writable = undefined
      this.watch()
      writable()
    }
    for (let i = 0; i < batch && this.reading && this.read(); i++);
  }

  /** Reads a datagram; `false` if there is none. */
  private read(): boolean {
    const { libc, receiver } = this
    fromLength[0] = unixAddress.size
    const sizeBytes = libc.recvfrom(this.fd, buffer, this.maxBytes, MSG_DONTWAIT | MSG_TRUNC, from, fromLength)
    if (sizeBytes < 0) {
      const code = libc.errno()
      if (!passing.has(code)) this.fail(systemError(code, "recvfrom", this.name))
      return code === "EINTR"
    }
    const data = Buffer.from(buffer.subarray(0, Math.min(sizeBytes, this.maxBytes)))
    receiver?.onMessage(data, this.from(fromLength[0] as number), sizeBytes)
    return true
  }

  /** Who has sent the last datagram. Peers that send often are known. */
  private from(length: number): Sender | undefined {
    if (length <= 2) return undefined
    const key = from.toString("latin1", 0, length)
    const known = this.senders.get(key)
    if (known !== undefined) return known
    if (this.senders.size >= maxSenders) this.senders.clear()
    const address = Uint8Array.prototype.slice.call(from, 0, length)
    const sender = { name: unixAddress.decode(address, length) as string, key, address }
    this.senders.set(key, sender)
    return sender
  }

  private fail(error: NodeJS.ErrnoException): void {
    this.pause()
    this.receiver?.onError(error)
  }
}

/** Whether, and with which error, one could connect to a datagram socket at `path`. */
export const knock = (libc: Libc, path: string): NodeJS.ErrnoException | undefined => {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return failure(libc, "socket")
  const address = unixAddress.encode(path)
  const error = libc.connect(fd, address, address.length) < 0 ? failure(libc, "connect", path) : undefined
  libc.close(fd)
  return error
}

/** An error as Node's own are. */
export const systemError = (code: string, syscall: string, path?: string): NodeJS.ErrnoException => {
  const errno = (constants.errno as Record<string, number>)[code] ?? 0
  const message = `${syscall} ${code}: ${getSystemErrorMessage(-errno)}${path === undefined ? "" : ` ${path}`}`
  return Object.assign(new Error(message), { code, errno: -errno, syscall, ...(path !== undefined && { path }) })
}

const failure = (libc: Libc, syscall: string, path?: string): NodeJS.ErrnoException =>
  systemError(libc.errno(), syscall, path)

const nameOf = (libc: Libc, fd: number): string | undefined => {
  const address = new Uint8Array(unixAddress.size)
  const length = new Uint32Array([address.length])
  libc.getsockname(fd, address, length)
  return unixAddress.decode(address, length[0] as number)
}

const option = (libc: Libc, fd: number, name: number): number | undefined => {
  const value = new Uint32Array(1)
  return libc.getsockopt(fd, SOL_SOCKET, name, value, new Uint32Array([4])) < 0 ? undefined : value[0]
}

// The numbers are Linux's, the same on every machine that koffi ships a binary for.
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_TYPE = 3
const SO_ERROR = 4
const SO_SNDBUF = 7
const SO_DOMAIN = 39
const SO_MEMINFO = 55
const SK_MEMINFO_WMEM_ALLOC = 2
const SK_MEMINFO_SNDBUF = 3
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

// Read in a turn of the event loop; and at a stop, when the kernel holds
// `net.unix.max_dgram_qlen`, 10 to 512, and one more.
const batch = 64
const maxQueued = 1_024

// Senders that are known.
const maxSenders = 1_024

// Errors of one datagram, or of the moment.
const passing = new Set(["EAGAIN", "EINTR", "ENOMEM", "ENOBUFS", "ECONNREFUSED"])

// Filled by one call and read before the next, of whatever socket.
let buffer = Buffer.allocUnsafeSlow(0)
const from = Buffer.allocUnsafeSlow(unixAddress.size)
const fromLength = new Uint32Array(1)
const memory = new Uint32Array(9)
