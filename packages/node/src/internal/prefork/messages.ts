/** What a copy of a program and its supervisor say to each other, over the channel that Node has between processes. */
import type { Stopped } from "../launch/servers.ts"
import type { Packed } from "../metrics/packed.ts"

/** What a copy asks its supervisor to bind. */
export interface Asked {
  readonly kind: "tcp" | "udp" | "unix"
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly ipv6Only?: boolean | undefined
  readonly path?: string | undefined
  readonly mode?: number | undefined
  /** Tells two listeners with the same options apart. */
  readonly index: number
}

/** What the supervisor answers, with the socket beside it. */
export interface Answered {
  readonly answer: number
  /** Where the socket is bound. */
  readonly port?: number | undefined
  readonly error?: {
    readonly message: string
    readonly code?: string | undefined
    readonly bindKind?: string | undefined
  }
}

/** What a supervisor says to a copy. */
export type Told =
  | Answered
  /** It is to give a sign of life. */
  | { readonly ping: true }
  /** Another copy has its sockets from now on; what it has accepted it serves until it is told to stop. */
  | { readonly retire: true }
  | { readonly stop: true }
  /** It is to take what comes to the socket of another place, too, which has no copy: beside its own that was asked for in the same way. */
  | { readonly borrow: number; readonly asked: Asked }
  /** That place has a copy again. */
  | { readonly giveBack: number }
  /** It is to say what it has counted. */
  | { readonly measure: true }
  /** What all copies have counted, for one that has asked. */
  | { readonly gathered: number; readonly all: ReadonlyArray<Packed> }

/** What a copy says to its supervisor. The program may send what it likes to its parent, as for a process manager. */
export interface Said {
  /** It can be told what to do. */
  readonly copy?: number
  /** Whether a debugger may hold it. */
  readonly pong?: { readonly debugged: boolean }
  /** It has started. */
  readonly ready?: boolean
  /** How long its stop may take: said when it has started, and when that begins. */
  readonly stopMillis?: number
  /** Why it cannot start, or go on: nobody has printed it. */
  readonly problem?: string
  /** What nobody has caught: Node prints it. */
  readonly uncaught?: string
  readonly stopped?: ReadonlyArray<Stopped>
  /** What it has counted. */
  readonly measured?: ReadonlyArray<Packed>
  /** It wants to know what all copies have counted. */
  readonly gather?: number
  readonly ask?: number
  readonly asked?: Asked
}

/** Makes a program a copy, and says which; after it, whether the supervisor builds layers that exist once. */
export const copyVariable = "SOCKETSERVER_COPY"

/**
 * What a copy is to those before it: the first one that is ready last says where
 * they listen; one that follows takes nothing before it is ready, since there are
 * others that do.
 */
export type Standing = "announces" | "silent" | "follows"
