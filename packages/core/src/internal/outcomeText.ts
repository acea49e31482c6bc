import type * as Outcome from "../Outcome.ts"

/** One line that says what happened. */
export const textOf = (outcome: Outcome.Outcome): string => {
  switch (outcome._tag) {
    case "Completed":
      return "completed"
    case "Failed":
      return "the handler failed"
    case "TimedOut":
      return late(outcome)
    case "Cancelled":
      return cancellations[outcome.reason]
    case "Refused":
      return `refused: ${outcome.reason}`
    case "FrameTooLarge":
      return `a frame exceeds ${outcome.limitBytes} bytes (it starts at byte ${outcome.offset} of the input)`
    case "Malformed":
      return `malformed input: ${outcome.reason} (the frame starts at byte ${outcome.offset} of the input)`
    case "Undelivered":
      return `the response could not be sent: ${problemOf(outcome)}`
    case "Drained":
      return "cut off by the deadline of the stop"
    case "WorkerCrashed":
      return `worker ${outcome.worker} ${endOf(outcome)} before it had answered`
  }
}

const cancellations = {
  PeerGone: "the peer is gone",
  ConnectionClosed: "the connection closed",
  NotReading: "the peer did not read a reply that kept a place from others",
  OutOfMemory: "the server held more than maxMemory"
} as const satisfies Record<Outcome.Cancelled["reason"], string>

const late = ({ deadline, millis }: Outcome.TimedOut): string => {
  switch (deadline) {
    case "request":
      return `not answered within ${millis} ms`
    case "firstByte":
      return `nothing was received within ${millis} ms`
    case "frame":
      return `a frame was not whole ${millis} ms after its first byte`
    case "idle":
      return `nothing was received for ${millis} ms`
    case "write":
      return `nothing of what waits for the peer was read for ${millis} ms`
  }
}

const problemOf = ({ cause, reason }: Outcome.Undelivered): string => {
  switch (reason) {
    case "NoReturnAddress":
      return "the sender has no address"
    case "TooLarge":
      return "it does not fit into a datagram"
    case "PeerGone":
      return "nobody has the sender's address any more"
    case "PeerFull":
      return "the sender does not read"
    case "Unreachable":
      return "there is no way to the sender"
    case "Limited":
      return `a limit of replies has kept it back (${cause instanceof Error ? cause.message : "reached"})`
    case "Other":
      return cause instanceof Error ? cause.message : String(cause)
  }
}

const endOf = ({ exitCode, reason, signal }: Outcome.WorkerCrashed): string => {
  const end = signal === undefined ? `exited with ${exitCode ?? "no status"}` : `was ended by ${signal}`
  return reason === undefined ? end : `${end} (${reason})`
}
