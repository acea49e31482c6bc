import * as Effect from "effect/Effect"
import type Koffi from "koffi"
import { constants } from "node:os"

/**
 * The system calls of Linux that Node has no binding for, and readiness from
 * libuv's loop. A call returns what the system call does, so a negative number
 * is a failure, which `errno` names.
 */
export interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Uint8Array, length: number) => number
  readonly connect: (fd: number, address: Uint8Array, length: number) => number
  readonly close: (fd: number) => number
  readonly recvfrom: (
    fd: number,
    data: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: Uint32Array
  ) => number
  readonly sendto: (
    fd: number,
    data: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array | null,
    addressLength: number
  ) => number
  readonly getsockname: (fd: number, address: Uint8Array, length: Uint32Array) => number
  readonly getsockopt: (fd: number, level: number, name: number, value: Uint32Array, length: Uint32Array) => number
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint32Array, length: number) => number
  /** The code of the last failure: `"EAGAIN"`. */
  readonly errno: () => string
  /** Watches a descriptor, which it makes non-blocking, until `close`. */
  readonly poll: (fd: number, events: PollEvents, callback: PollCallback) => Poll
}

/** What is watched for. With `disconnect` alone nothing is, and the process is kept alive. */
export interface PollEvents {
  readonly readable?: boolean
  readonly writable?: boolean
  readonly disconnect?: boolean
}

/** `status` is negative if the descriptor can no longer be watched. */
export type PollCallback = (status: number, ready: { readonly readable: boolean; readonly writable: boolean }) => void

/** A watched descriptor. */
export interface Poll {
  /** Changes what is watched for. */
  readonly start: (events: PollEvents, callback: PollCallback) => void
  /** Before the descriptor is closed. */
  readonly close: () => void
}

/** What the bindings are wanted for, in words: that Node has none of. */
export type Wanted = "such sockets" | "users of peers"

/** Loads the bindings, once; fails with what the user can do where there are none. */
export const loadFor = (wanted: Wanted): Effect.Effect<Libc, string> =>
  Effect.suspend(() => {
    if (loaded !== undefined) return Effect.succeed(loaded)
    if (process.platform !== "linux") return Effect.fail(`on ${process.platform} there is no way to ${wanted}`)
    const attempt = Effect.tryPromise({ try: imported, catch: (cause) => unloadable(cause, wanted) })
    return Effect.flatMap(attempt, ({ default: koffi }) => {
      // Its types have `poll`, its manual does not: better to find out now than at the first datagram.
      if (typeof koffi.node?.poll !== "function") return Effect.fail(`koffi ${koffi.version} cannot do it; ${remedy}`)
      return Effect.sync(() => (loaded ??= bindings(koffi)))
    })
  })

export const load: Effect.Effect<Libc, string> = loadFor("such sockets")

let loaded: Libc | undefined

// Not a literal: a bundler that finds it would want the package, which may be missing, and would break its native part.
const koffiName: string = "koffi"
const imported = (): Promise<{ readonly default: typeof Koffi }> =>
  import(koffiName) as Promise<{ readonly default: typeof Koffi }>

const remedy = "npm install koffi@3.3"

const unloadable = (cause: unknown, wanted: Wanted): string =>
  (cause as { readonly code?: string }).code === "ERR_MODULE_NOT_FOUND"
    ? `Node has no ${wanted}, and koffi, which reaches the system's, is not installed; ${remedy}`
    : `koffi cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`

const bindings = (koffi: typeof Koffi): Libc => {
  // What the process has loaded itself, which is the C library on glibc and on musl.
  const library = koffi.load(null)
  return {
    socket: library.func("int socket(int domain, int type, int protocol)"),
    bind: library.func("int bind(int fd, void *address, uint32_t length)"),
    connect: library.func("int connect(int fd, void *address, uint32_t length)"),
    close: library.func("int close(int fd)"),
    recvfrom: library.func(
      "intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *address, void *addressLength)"
    ),
    sendto: library.func(
      "intptr_t sendto(int fd, void *data, size_t length, int flags, void *address, uint32_t addressLength)"
    ),
    getsockname: library.func("int getsockname(int fd, void *address, void *length)"),
    getsockopt: library.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
    setsockopt: library.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
    errno: () => codeOf(koffi.errno()),
    poll: koffi.node.poll as unknown as Libc["poll"]
  }
}

/** The name of an error's number. */
export const codeOf = (errno: number): string => codes.get(errno) ?? `error ${errno}`

// Where two names are one number, as `EAGAIN` and `EWOULDBLOCK`, the first is the usual one.
const codes = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([code, number]) => [number, code])
)
