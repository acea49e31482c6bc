import type { Visit } from "./visit.ts"

/** How long a head and a request may take, in milliseconds. */
export interface Times {
  readonly headersTimeout: number
  /** 0 is off. */
  readonly requestTimeout: number
}

/**
 * Node has found that a message takes too long to arrive. Whether that is forgiven:
 * nobody could be quicker while he was not read. He has as long again, from when
 * he is read on; then `late` is called. Node does not look again at a message that
 * it has told of.
 */
export const forgiven = (visit: Visit, times: Times, late: () => void): boolean => {
  if (!visit.isUnread && performance.now() - visit.readSince >= millisOf(visit, times)) return false
  watch(visit, times, late)
  return true
}

const millisOf = ({ newest }: Visit, { headersTimeout, requestTimeout }: Times): number =>
  newest?.complete === false ? requestTimeout : headersTimeout

/** Waits for the rest of a head, and then for that of its body; or for that of a body. */
const watch = (visit: Visit, times: Times, late: () => void): void => {
  const { arrived, newest } = visit
  const body = newest?.complete === false ? newest : undefined
  const millis = millisOf(visit, times)
  if (millis === 0) return
  const since = performance.now()
  const left = () => (visit.isUnread ? millis : Math.max(since, visit.readSince) + millis - performance.now())
  const isThere = () => (body === undefined ? visit.arrived > arrived : body.complete)
  const look = (): void => {
    if (visit.socket.destroyed) return
    if (isThere()) {
      if (visit.newest?.complete === false) watch(visit, times, late)
    } else if (left() > 0) again()
    // The loop may have been held up: what has come meanwhile is read first.
    else setImmediate(() => (isThere() || left() > 0 || visit.socket.destroyed ? look() : late()))
  }
  // oxlint-disable-next-line socketserver/no-timer -- `HttpBridge.layer` refuses times that no timer takes
  const again = () => void setTimeout(look, Math.max(1, left())).unref()
  again()
}
