/** What Node holds a UDP socket by, and shows nobody: whether it is read is said there. */
import type * as dgram from "node:dgram"

/** The part of it that is used. */
export interface DgramHandle {
  readonly recvStart: () => number
  readonly recvStop: () => number
  readonly close: () => void
}

/** None where Node keeps it elsewhere. */
export const handleOf = (socket: dgram.Socket): DgramHandle | undefined => {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol")
  const { handle } = (key === undefined ? {} : (socket as unknown as Record<symbol, State>)[key]) as State
  return handle ?? undefined
}

/** Reads it no more, or not yet. What comes then stays with the system, for whoever else has the socket. */
export const leaveUnread = (socket: dgram.Socket): void => void handleOf(socket)?.recvStop()

/** Reads it. */
export const read = (socket: dgram.Socket): void => void handleOf(socket)?.recvStart()

interface State {
  readonly handle?: DgramHandle | null
}
