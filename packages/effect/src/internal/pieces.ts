import type { Duplex } from "node:stream"

/** What Node's parser is given at once: it makes a request of each head in it. Of a body there is more in each. */
const ofHeads = 4_096
const ofBodies = 16_384

/**
 * What arrives on a connection, on its way to Node's HTTP server: in pieces, and
 * nothing while requests wait. So what a peer has sent beyond that stays bytes.
 */
export class Pieces {
  private readonly socket: Duplex
  private readonly isFull: () => boolean
  private readonly inBody: () => boolean
  /** Node's own: what it does with a piece, and at the end. */
  private readonly onData: (piece?: Buffer) => void
  private readonly onEnd: () => void
  private rest: Buffer = none
  private hasEnded = false

  /** It takes the place of the listeners by which the server listens. */
  constructor(socket: Duplex, isFull: () => boolean, inBody: () => boolean) {
    this.socket = socket
    this.isFull = isFull
    this.inBody = inBody
    this.onData = taken(socket, "data")
    this.onEnd = taken(socket, "end")
    socket.on("data", this.take)
    socket.on("end", this.ended)
    // Node reads on after each request, and when what it has written has left.
    socket.on("resume", this.feed)
    if (isFull()) socket.pause()
  }

  private readonly take = (chunk: Buffer): void => {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    this.feed()
  }

  private readonly ended = (): void => {
    this.hasEnded = true
    this.feed()
  }

  private readonly feed = (): void => {
    while (this.rest.length > 0 && !this.isHeld) {
      const { rest } = this
      const size = this.inBody() ? ofBodies : ofHeads
      this.rest = rest.length <= size ? none : rest.subarray(size)
      this.onData(rest.length <= size ? rest : rest.subarray(0, size))
    }
    if (this.rest.length > 0 || this.isFull()) this.socket.pause()
    else if (this.hasEnded) {
      this.hasEnded = false
      this.onEnd()
    }
  }

  /** Nothing waits any more: it goes on, and is read on. */
  goOn(): void {
    this.feed()
    if (this.rest.length === 0 && !this.isHeld) this.socket.resume()
  }

  private get isHeld(): boolean {
    // Node asserts that nothing comes while it has paused a socket itself, since its answers do not leave.
    return this.isFull() || (this.socket as { readonly _paused?: boolean })._paused === true
  }

  /** What comes from now on is somebody else's, with what has come and was not taken. */
  letGo(): Buffer {
    const { rest, socket } = this
    socket.off("data", this.take).off("end", this.ended).off("resume", this.feed)
    this.rest = none
    return rest
  }
}

const none = Buffer.alloc(0)

/** The listener that came last, which is the server's. */
const taken = (socket: Duplex, event: "data" | "end"): ((piece?: Buffer) => void) => {
  const listener = socket.listeners(event).at(-1) as () => void
  socket.off(event, listener)
  return listener
}
