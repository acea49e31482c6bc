/**
 * The state of a server's connection, as one value, and every way from one state
 * to another.
 *
 * - `open`: requests are read and answered.
 * - `halfClosed`: the peer sends no more; what it has sent is answered.
 * - `stopping`: nothing more counts, because the server stops or the input
 *   cannot be decoded; what was received is answered. What the peer still sends is thrown away.
 * - `draining`: no more is answered. What was written leaves; then the peer gets
 *   a moment to close its end, since closing while it sends would reset the
 *   connection and may cost it our last reply (RFC 1122, 4.2.2.13).
 * - `closing`: the same, and the connection closes as soon as all has left.
 * - `lingering`: all has left, and the peer has its moment.
 * - `gone`: the peer has left while something could still be answered.
 * - `closed`: the connection has ended.
 */
export type State = "open" | "halfClosed" | "stopping" | "draining" | "closing" | "lingering" | "gone" | "closed"

/**
 * - `ended`: the peer has half-closed.
 * - `faulty`: the input cannot be decoded.
 * - `stopIdle`, `stopBusy`: the server stops, with nothing to answer, or something.
 * - `shut`: the last reply is known, or the server closes the connection.
 * - `left`: all that was written has left.
 * - `lost`: the connection is gone.
 */
export type Event = "ended" | "faulty" | "stopIdle" | "stopBusy" | "shut" | "left" | "lost"

/** Where an event leads from a state. What is not listed changes nothing. */
export const transitions: { readonly [S in State]: { readonly [E in Event]?: State } } = {
  open: {
    ended: "halfClosed",
    faulty: "stopping",
    stopIdle: "closing",
    stopBusy: "stopping",
    shut: "draining",
    lost: "gone"
  },
  halfClosed: { stopIdle: "closing", shut: "closing", lost: "gone" },
  stopping: { ended: "halfClosed", stopIdle: "closing", shut: "draining", lost: "gone" },
  draining: { ended: "closing", stopIdle: "closing", stopBusy: "closing", left: "lingering", lost: "closed" },
  closing: { lost: "closed" },
  lingering: { ended: "closing", stopIdle: "closing", stopBusy: "closing", lost: "closed" },
  gone: {},
  closed: {}
}

/** Whether what is answered can still leave. */
export const answers = (state: State): boolean => state === "open" || state === "halfClosed" || state === "stopping"

/** Whether the connection is there no more. */
export const isOver = (state: State): boolean => state === "gone" || state === "closed"
