import * as Connection from "@socketserver/core/Connection"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Remote from "@socketserver/core/Remote"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"

/** A connection of bytes. */
export type Bytes = Connection.Connection<Uint8Array, Uint8Array>

/** How a connection goes on over TLS, by whichever side of a handshake it has. */
export type Upgrade = (
  connection: Bytes,
  options: Socket.TlsUpgradeOptions
) => Effect.Effect<void, Socket.SocketUpgradeError>

const failed = (reason: ConstructorParameters<typeof Socket.SocketError>[0]["reason"]) =>
  new Socket.SocketError({ reason })

const closed = (code: number): Socket.SocketError => failed(new Socket.SocketCloseError({ code }))

/** What ended the reading of a connection. */
const readProblem = (error: Connection.ConnectionError | Cause.Done, code: number): Socket.SocketError => {
  if (error._tag === "Done" || error.reason._tag === "Closed") return closed(code)
  return failed(new Socket.SocketReadError({ cause: error.reason._tag === "Reset" ? error.reason.cause : error }))
}

const writeProblem = (cause: Connection.ConnectionError): Socket.SocketError =>
  failed(new Socket.SocketWriteError({ cause }))

/** How a connection has ended, where that is what a handler has ended with: Effect's own make a defect of it, or are interrupted. */
export const endOf = (connection: Bytes, reason: Cause.Reason<unknown>): "closed" | "broken" | undefined => {
  if (reason._tag === "Interrupt") return connection.endedBy === undefined ? undefined : "broken"
  const error = reason._tag === "Fail" ? reason.error : reason.defect
  if (!Socket.isSocketError(error)) return undefined
  switch (error.reason._tag) {
    case "SocketCloseError":
      return "closed"
    case "SocketReadError":
      return "broken"
    case "SocketWriteError": {
      const { cause } = error.reason
      // What cannot be written is the handler's own fault.
      return cause instanceof Connection.ConnectionError && cause.reason._tag !== "EncodeFailed" ? "broken" : undefined
    }
    default:
      return undefined
  }
}

const utf8 = new TextEncoder()

const bytesOf = (chunk: Uint8Array | string): Uint8Array => (typeof chunk === "string" ? utf8.encode(chunk) : chunk)

const write = (
  connection: Bytes,
  chunk: Uint8Array | string | Socket.CloseEvent
): Effect.Effect<void, Socket.SocketError> => {
  if (!Socket.isCloseEvent(chunk)) return Effect.mapError(connection.write(bytesOf(chunk)), writeProblem)
  return chunk.code > 1_000 ? connection.reset : connection.close
}

/** Nothing else comes between what is written together, and what is written in one turn leaves in one write. */
const writeAll = (
  connection: Bytes,
  chunks: readonly [Uint8Array | string, ...Array<Uint8Array | string>]
): Effect.Effect<void, Socket.SocketError> =>
  Effect.mapError(Remote.writeTogether(connection, chunks.map(bytesOf)), writeProblem)

/** Reads a connection until the scope closes, which closes it and ends a pull that waits. */
const reading = (connection: Bytes, upgrade: Upgrade): Effect.Effect<Socket.Reader, never, Scope.Scope> =>
  Effect.gen(function* () {
    let code = 1_000
    yield* Effect.addFinalizer(() => {
      code = 1_006
      return connection.close
    })
    return {
      pull: Effect.mapError(connection.pull, (error) => readProblem(error, code)),
      upgrade: (options = {}) => Effect.mapError(upgrade(connection, options), failed)
    }
  })

/** The connection of a server's handler. Its reader can be had once. */
export const ofHandler = (connection: Bytes, upgrade: Upgrade): Socket.Socket => {
  let isTaken = false
  return Socket.make({
    reader: Effect.suspend(() => {
      if (isTaken) return Effect.fail(closed(1_000))
      isTaken = true
      return reading(connection, upgrade)
    }),
    writer: Effect.acquireRelease(
      Effect.succeed<Socket.Writer>({
        write: (chunk) => write(connection, chunk),
        writeAll: (chunks) => writeAll(connection, chunks)
      }),
      () => connection.end
    )
  })
}

/** Whoever reads connects anew. What is written meanwhile waits for the next connection. */
export const dialing = (
  connect: Effect.Effect<Bytes, Connection.ConnectFailed | ServerError, Scope.Scope>,
  upgrade: Upgrade
): Effect.Effect<Socket.Socket> =>
  Effect.sync(() => {
    let current: Bytes | undefined
    const isOpen = Latch.makeUnsafe(false)
    const whenOpen = <A, E>(use: (connection: Bytes) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => (current === undefined ? isOpen.whenOpen(whenOpen(use)) : use(current)))
    return Socket.make({
      reader: Effect.gen(function* () {
        const connection = yield* Effect.mapError(connect, openProblem)
        const reader = yield* reading(connection, upgrade)
        current = connection
        isOpen.openUnsafe()
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (current !== connection) return
            current = undefined
            isOpen.closeUnsafe()
          })
        )
        return reader
      }),
      writer: Effect.acquireRelease(
        Effect.succeed<Socket.Writer>({
          write: (chunk) => whenOpen((connection) => write(connection, chunk)),
          writeAll: (chunks) => whenOpen((connection) => writeAll(connection, chunks))
        }),
        () => Effect.suspend(() => current?.end ?? Effect.void)
      )
    })
  })

const openProblem = (cause: Connection.ConnectFailed | ServerError): Socket.SocketError => {
  const kind = cause._tag === "ConnectFailed" && cause.kind === "TimedOut" ? "Timeout" : "Unknown"
  return failed(new Socket.SocketOpenError({ kind, cause }))
}
