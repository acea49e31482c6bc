import type * as NodeWS from "@effect/platform-node/NodeWS"
import * as Outcome from "@socketserver/core/Outcome"
import { type Visit, visitOf } from "./visit.ts"

/** How long a message may take. */
interface Time {
  /** In milliseconds, from its first byte to its last. */
  readonly messageMillis: () => number
  /** Does something later, unless it is cancelled before. */
  readonly after: (millis: number, f: () => void) => () => void
}

/** The WebSockets of a server: what they hold counts as its connections' own, for no longer than it may, and they say goodbye when it stops. */
export class WebSockets {
  /** What `ws` makes of each. */
  readonly WebSocket: typeof NodeWS.WebSocket
  private readonly open = new Set<NodeWS.WebSocket>()
  private readonly time: Time
  private isStopping = false

  constructor(Base: typeof NodeWS.WebSocket, time: Time) {
    this.time = time
    const opened = (socket: NodeWS.WebSocket) => this.opened(socket)
    this.WebSocket = class extends Base {
      constructor(...args: ConstructorParameters<typeof Base>) {
        super(...args)
        opened(this)
      }
    } as typeof Base
  }

  private opened(socket: NodeWS.WebSocket): void {
    this.open.add(socket)
    socket.on("close", () => this.open.delete(socket))
    // It is open once its handshake is over.
    socket.once("open", () => {
      count(socket as Inner, this.time)
      if (this.isStopping) socket.close(goingAway)
    })
  }

  stop(): void {
    if (this.isStopping) return
    this.isStopping = true
    for (const socket of this.open) if (socket.readyState === socket.OPEN) socket.close(goingAway)
  }
}

/**
 * What the receiver of `ws` holds of a message that has not ended, which it says in fields of its own only
 * (https://github.com/websockets/ws/blob/8.23.0/lib/receiver.js): bytes that are no frame yet, and frames, unpacked.
 */
interface Receiver {
  write(chunk: Uint8Array, done?: () => void): boolean
  readonly _bufferedBytes: number
  readonly _buffers: ReadonlyArray<unknown>
  readonly _messageLength: number
  readonly _fragments: ReadonlyArray<unknown>
}

interface Inner extends NodeWS.WebSocket {
  readonly _receiver: Receiver
  readonly _socket: object
}

const bytesOf = ({ _bufferedBytes, _buffers, _fragments, _messageLength }: Receiver): number =>
  _bufferedBytes + _messageLength + pieceBytes * (_buffers.length + _fragments.length)

/** What it holds counts in what its server may hold for all: looked at when what has arrived is unpacked. */
const count = (socket: Inner, { after, messageMillis }: Time): void => {
  const { _receiver: receiver, _socket } = socket
  const visit = visitOf(_socket) as Visit
  const { write } = receiver
  let held = 0
  let cancel = noop
  const wait = (): void => {
    const millis = messageMillis()
    if (millis === Infinity) return
    cancel = after(millis, () => {
      // Nobody has read it meanwhile.
      if (socket.isPaused) wait()
      else visit.isLate(Outcome.timedOut(millis, "frame"))
    })
  }
  const look = (): void => {
    const bytes = bytesOf(receiver)
    if (bytes === held) return
    visit.holds(bytes - held)
    if (held === 0) wait()
    held = bytes
    if (bytes > 0) return
    cancel()
    cancel = noop
  }
  receiver.write = (chunk) => write.call(receiver, chunk, look)
  socket.on("close", () => cancel())
}

const noop = (): void => {}

// What a piece takes beside its bytes: 116 as measured, and its place in a list.
const pieceBytes = 128

// https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const goingAway = 1_001
