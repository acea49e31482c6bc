import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { bindFailed } from "./netServer.ts"
import { exclusively } from "./unixLock.ts"

/** The longest path that fits into a `sockaddr_un`, in bytes. */
const longest = 107

export const isAbstract = (path: string): boolean => path.startsWith("@")

/** A path as the platform takes it: an abstract name starts with a zero byte. */
export const native = (path: string): string => (isAbstract(path) ? `\0${path.slice(1)}` : path)

const invalid = (option: string, problem: string) =>
  Effect.fail(new ServerError({ reason: new InvalidOption({ option, problem }) }))

/** The failure of a path or an abstract name that is too long, if it is. */
export const tooLong = (path: string, endpoint: string): Effect.Effect<never, ServerError> | undefined => {
  const bytes = Buffer.byteLength(path) - (isAbstract(path) ? 1 : 0)
  return bytes <= longest
    ? undefined
    : Effect.fail(bindFailed(endpoint, new Error(`the path has ${bytes} bytes`), "PathTooLong"))
}

/** The file that a server's path was when it was bound. */
export type Own = fs.Stats

/** A server that is bound to a path of the file system, and how it leaves. */
export interface Bound<S> {
  readonly server: S
  readonly close: () => void
  /** What has become of its path, if it is not its own any more. */
  readonly lost: () => string | undefined
}

/** A kind of socket: how it binds, and what else differs. */
export interface Kind<S> {
  readonly listen: (path: string, around: (bind: () => void) => void) => Effect.Effect<S, ServerError>
  /** Connects to a socket as a client of this kind does, and leaves; succeeds with the error if it cannot. */
  readonly knock: (path: string) => Effect.Effect<NodeJS.ErrnoException | undefined>
  /** Takes the server's path away, if it still is its `own`; then throws what is to be told, if it was not or stays. */
  readonly leave: (server: S, path: string, own: Own) => void
}

interface Options<S> extends Kind<S> {
  readonly path: string
  readonly mode: number
  readonly endpoint: string
}

/** The mode of a socket's file. An abstract name has none: who gives one believes that it keeps others out. */
export const modeOf = (path: string, mode: number | undefined): Effect.Effect<number, ServerError> =>
  mode !== undefined && isAbstract(path)
    ? invalid("mode", `${path} is an abstract name, which every local user may use; take a path, or leave the mode out`)
    : Effect.succeed(mode ?? 0o600)

/**
 * Binds to a path. Binding itself is what decides between two servers that
 * start at once: it fails if the path exists. So a stale socket is moved away
 * first, and only if it still is the one that was probed.
 */
export const bind = <S extends { readonly close: () => unknown }>(
  options: Options<S>
): Effect.Effect<Bound<S>, ServerError> =>
  Effect.gen(function* () {
    const { endpoint, mode, path } = options
    if (path === "") return yield* invalid("path", "it is empty; give a path, or @name for an abstract socket")
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      return yield* invalid("mode", `it must be an integer from 0 to 0o777, not ${mode}`)
    }
    yield* tooLong(path, endpoint) ?? Effect.void
    const looking = <A>(f: () => A): Effect.Effect<A, ServerError> =>
      Effect.mapError(Effect.try({ try: f, catch: (cause) => cause }), (cause) => bindFailed(endpoint, cause))
    // It may be a link, as /var/run is.
    const directory = yield* looking(() => fs.statSync(dirname(path), { throwIfNoEntry: false }))
    if (directory === undefined || !directory.isDirectory()) {
      return yield* Effect.fail(bindFailed(endpoint, new Error(`no directory ${dirname(path)}`), "NoDirectory"))
    }
    const claim = Effect.gen(function* () {
      const found = yield* looking(() => stat(path))
      if (found !== undefined) {
        if (!found.isSocket()) {
          return yield* Effect.fail(bindFailed(endpoint, new Error(`${path} is not a socket`), "NotASocket"))
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const found = yield* pinned(path)
            const error = yield* options.knock(path)
            const answer = probed(path, error)
            if (answer !== "stale") return yield* Effect.fail(bindFailed(endpoint, answer.cause, answer.kind))
            if (error?.code !== "ENOENT") remove(path, found)
          })
        )
      }
      return yield* options.listen(path, underMask(mode))
    })
    const server = yield* exclusively(path, directory, claim)
    // The kernel keeps the inode while the server lives, so that it stays the server's alone.
    const own = yield* Effect.onError(
      looking(() => settled(path, mode)),
      () => Effect.sync(() => server.close())
    )
    let closed = false
    const close = () => {
      if (closed) return
      closed = true
      options.leave(server, path, own)
    }
    // A stop that takes its time is still watched, and has removed the path itself.
    return { server, close, lost: () => (closed ? undefined : lost(path, own)) }
  })

/** The socket that was just bound to a path, with exactly `mode`. */
const settled = (path: string, mode: number): Own => {
  const own = fs.lstatSync(path)
  // What is there by now is changed only if it has to be: it may be a link that another user has put there.
  if ((own.mode & 0o7777) !== mode) fs.chmodSync(path, mode)
  return own
}

/** Binds while the process's mask leaves exactly `mode`, so that there is no moment at which others may connect. */
const underMask =
  (mode: number) =>
  (bind: () => void): void => {
    // A worker thread cannot change the mask: there the mode is set right after, in the same turn.
    const before = attempt(() => process.umask(0o777 & ~mode))
    const outcome = Result.try(bind)
    if (before !== undefined) process.umask(before)
    if (Result.isFailure(outcome)) throw outcome.failure
  }

type Probe = "stale" | { readonly kind: "AddressInUse" | "PermissionDenied" | "Other"; readonly cause: unknown }

/** Whether somebody has the socket open, told by what came of connecting to it. */
const probed = (path: string, error: NodeJS.ErrnoException | undefined): Probe => {
  switch (error?.code) {
    case undefined:
      return { kind: "AddressInUse", cause: new Error(`a server listens on ${path}`) }
    case "ECONNREFUSED":
    case "ENOENT":
      return "stale"
    // Its queue is full; it is of another type; it talks to somebody else: it is alive.
    case "EAGAIN":
    case "EPROTOTYPE":
    case "EPERM":
      return { kind: "AddressInUse", cause: error }
    default:
      return { kind: error?.code === "EACCES" ? "PermissionDenied" : "Other", cause: error }
  }
}

/** A second name for the socket at `path`, so that its inode is not given to another while it is looked at. */
const pinned = (path: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pin = beside(path)
      // Somebody else's socket may not be linked to, and will not be removed either.
      attempt(() => fs.linkSync(path, pin))
      return pin
    }),
    (pin) => Effect.sync(() => attempt(() => fs.unlinkSync(pin)))
  )

/** Removes the socket `found`; if another has taken its place meanwhile, that one is put back. */
const remove = (path: string, found: string): void => {
  const pin = stat(found)
  // Another server was faster. Moved aside, its path would be free for a third one until it is put back.
  if (pin !== undefined && !same(stat(path), pin)) return
  const aside = beside(path)
  if (attempt(() => (fs.renameSync(path, aside), true)) === undefined) return
  if (!same(stat(aside), pin)) attempt(() => fs.linkSync(aside, path))
  attempt(() => fs.unlinkSync(aside))
}

/** Removes a path, if it still is a server's own. Throws what is to be told of one that is not, or that stays. */
export const unlink = (path: string, own: Own): void => {
  const now = lookAt(path, own)
  if (now.is === "own")
    Result.getOrThrowWith(
      Result.try(() => fs.unlinkSync(path)),
      stays
    )
  else throw now.told
}

/**
 * Closes a server that removes whatever is at its path, while what is not its own
 * is held aside. It is closed in any case; then what is to be told is thrown.
 */
export const sparing = (path: string, own: Own, close: () => void): void => {
  const now = lookAt(path, own)
  if (now.is !== "foreign") {
    close()
    if (now.is !== "own") throw now.told
    // Whoever removes it does not say that it could not.
    if (lookAt(path, own).is === "own")
      Result.getOrThrowWith(
        Result.try(() => fs.unlinkSync(path)),
        stays
      )
    return
  }
  const aside = beside(path)
  const moved = Result.try(() => fs.renameSync(path, aside))
  if (Result.isSuccess(moved)) {
    close()
    Result.getOrThrowWith(
      Result.try(() => fs.renameSync(aside, path)),
      (cause) => new Error(`what was at its path by now is ${aside}: ${messageOf(cause)}`)
    )
  } else if (denied.has(codeOf(moved.failure))) close()
  // What cannot be moved aside, and could be removed, would be lost: it stays open until the program ends.
  throw now.told
}

/** What forbids to move a file forbids to remove it, too. */
const denied = new Set<string | undefined>(["EACCES", "EPERM", "EROFS", "EBUSY", "ENOENT", "ENOTDIR", "ELOOP"])

interface Look {
  /** `hidden`: it cannot be looked at, so that it can be neither moved nor removed. */
  readonly is: "own" | "gone" | "foreign" | "hidden"
  /** What is to be told of it at a stop. */
  readonly told: Error
}

/** What is at a server's path now. */
const lookAt = (path: string, own: Own): Look => {
  const now = Result.try(() => stat(path))
  if (Result.isFailure(now)) return { is: "hidden", told: stays(now.failure) }
  if (now.success === undefined) return { is: "gone", told: new Error("its path was gone already") }
  if (same(now.success, own)) return { is: "own", told: new Error("its path stays") }
  return { is: "foreign", told: new Error("at its path is something else by now, which stays") }
}

const lost = (path: string, own: Own): string | undefined => {
  const { is } = lookAt(path, own)
  if (is === "gone") return `the path ${path} was removed, so that nobody new can connect; start the server again`
  return is === "foreign" ? `at the path ${path} is something else by now, so that nobody new can connect` : undefined
}

/** Says it once when the path of a server is its own no more. It is looked at now and then: there is no event for a path. */
export const watch = (bound: Pick<Bound<unknown>, "lost">, say: (problem: string) => void): Effect.Effect<void> =>
  Effect.flatMap(Effect.sleep(lookMillis), () => {
    const problem = bound.lost()
    return problem === undefined ? watch(bound, say) : Effect.sync(() => say(problem))
  })

const lookMillis = 5_000

const stays = (cause: unknown): Error => new Error(`its path stays: ${messageOf(cause)}`)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

const same = (a: fs.Stats | undefined, b: fs.Stats | undefined): boolean =>
  a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev

const beside = (path: string): string => `${path}.${randomBytes(6).toString("hex")}`

const stat = (path: string): fs.Stats | undefined => fs.lstatSync(path, { throwIfNoEntry: false })

/** What it returns, if it does not throw. */
export const attempt = <A>(f: () => A): A | undefined => Result.getOrUndefined(Result.try(f))
