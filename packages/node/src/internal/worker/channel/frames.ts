/**
 * What a parent and its worker say to each other, one frame after the other:
 * four bytes of length, one of kind, four of the call or connection it is
 * about, and the rest. One framing for pipes and message ports.
 */

/** From the parent to the worker. */
export const Ask = {
  /** A connection that later frames are about: JSON. */
  connection: 1,
  /** A request: facts, then the message. */
  request: 2,
  /** A whole connection: facts. Its bytes follow as `data`. */
  open: 3,
  /** A peer has connected, for a handler with state for each connection: facts. */
  connect: 4,
  data: 5,
  /** The peer has half-closed; or, with one byte, the server stops and reads no more. */
  end: 6,
  /** Nobody waits for the call any more; what has ended its connection, if something has. */
  cancel: 7,
  /** This many bytes that the worker has sent were taken. */
  credit: 8,
  /** A connection has ended. */
  gone: 9,
  /** What became of a push: nothing or JSON. */
  pushed: 10,
  stop: 11,
  /** A control message that concerns a request. */
  control: 12,
  /** No more of them come for it. */
  controlEnd: 13
} as const

/** From the worker to the parent. */
export const Tell = {
  /** Under the number of milliseconds of the CPU that the start has taken, if they are known. */
  ready: 32,
  /** A message of the response. */
  message: 33,
  /** What follows is a stream: one byte, whether the connection closes after it. */
  stream: 34,
  /** The response is complete: one byte, whether the connection closes after it, and the outcome as JSON unless it is completed. */
  done: 35,
  /** The handler died: JSON. */
  failed: 36,
  /** The handler and everything of it has ended: there is room for another call. */
  freed: 37,
  /** A message that no request asked for: a number for the answer, four bytes of connection, and the message. */
  push: 38,
  /** A handler closes its connection. */
  close: 39,
  data: 40,
  /** The handler has half-closed. */
  end: 41,
  /** The handler has broken its connection off. */
  reset: 42,
  /** So many bytes were taken; of a request, so many control messages. */
  credit: 43,
  /** The setup of a connection is complete. */
  connected: 44,
  /** A handler stops the server. */
  shutdown: 45,
  /** The call has not begun and will not: this worker stops. */
  returned: 46,
  /** The call has not begun and will not: it was revoked. */
  dropped: 47,
  /** Why its program cannot start, or go on. */
  problem: 48,
  /** The handler waits for what the peer says about its request, or goes on: one byte. */
  awaits: 49,
  /** What hangs on a connection has died as it was run at its end: JSON. */
  unreleased: 50
} as const

const header = 9

/** What is collected before it leaves within the turn. */
const highWaterMark = 1_048_576

export interface FrameReceiver {
  onFrame(kind: number, id: number, body: Buffer): void
}

/** Cuts bytes into frames. Throws where somebody else has written between them, rather than wait for what never comes. */
export class FrameReader {
  private readonly receiver: FrameReceiver
  private parts: Array<Uint8Array> = []
  private have = 0
  private needed = header

  constructor(receiver: FrameReceiver) {
    this.receiver = receiver
  }

  push(chunk: Uint8Array): void {
    this.parts.push(chunk)
    this.have += chunk.length
    if (this.have < this.needed) return
    const input = this.parts.length === 1 ? asBuffer(chunk) : Buffer.concat(this.parts, this.have)
    let at = 0
    this.needed = header
    while (input.length - at >= header) {
      if ((input[at + 4] as number) > Tell.unreleased) throw new Error("there is no such frame")
      const size = header + input.readUInt32LE(at)
      if (input.length - at < size) {
        this.needed = size
        break
      }
      const kind = input[at + 4] as number
      const id = input.readUInt32LE(at + 5)
      at += size
      this.receiver.onFrame(kind, id, input.subarray(at - size + header, at))
    }
    this.have = input.length - at
    this.parts = this.have === 0 ? [] : [input.subarray(at)]
  }
}

/** Collects the frames of a turn. */
export class FrameWriter {
  private readonly send: (parts: Array<Uint8Array>, bytes: number) => void
  private readonly later: (flush: () => void) => void
  private parts: Array<Uint8Array> = []
  private bytes = 0

  /** `later` says when a turn ends. */
  constructor(send: (parts: Array<Uint8Array>, bytes: number) => void, later: (flush: () => void) => void) {
    this.send = send
    this.later = later
  }

  add(kind: number, id: number, body?: Uint8Array | string): void {
    const length = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length
    // Small bodies are copied: one buffer more costs less than one write more.
    const copies = typeof body === "string" || length <= 4_096
    const frame = Buffer.allocUnsafe(header + (copies ? length : 0))
    frame.writeUInt32LE(length, 0)
    frame[4] = kind
    frame.writeUInt32LE(id, 5)
    if (typeof body === "string") frame.write(body, header)
    else if (copies && body !== undefined) frame.set(body, header)
    if (this.parts.length === 0) this.later(this.flush)
    this.parts.push(frame)
    if (!copies) this.parts.push(body as Uint8Array)
    this.bytes += header + length
    // What is joined has an end: a buffer of all that many calls answer in one turn might not be to be had.
    if (this.bytes > highWaterMark) this.flush()
  }

  readonly flush = (): void => {
    if (this.parts.length === 0) return
    const { bytes, parts } = this
    this.parts = []
    this.bytes = 0
    this.send(parts, bytes)
  }
}

/** What a call needs to know of its request, beside the message. */
export interface Facts {
  readonly connection: number
  readonly request: number
  readonly receivedAt: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly inFlight: number
  /** One more than the slot of its claim; 0 for a call without one, which begins as it comes. */
  readonly claim: number
}

export const factsBytes = 44

export const writeFacts = (facts: Facts, message?: Uint8Array | string): Buffer => {
  const length = message === undefined ? 0 : typeof message === "string" ? Buffer.byteLength(message) : message.length
  const out = Buffer.allocUnsafe(factsBytes + length)
  out.writeUInt32LE(facts.connection, 0)
  out.writeUInt32LE(facts.inFlight, 4)
  out.writeDoubleLE(facts.request, 8)
  out.writeDoubleLE(facts.receivedAt, 16)
  out.writeDoubleLE(facts.bytesRead, 24)
  out.writeDoubleLE(facts.bytesWritten, 32)
  out.writeUInt32LE(facts.claim, 40)
  if (typeof message === "string") out.write(message, factsBytes)
  else if (message !== undefined) out.set(message, factsBytes)
  return out
}

export const readFacts = (body: Buffer): Facts => ({
  connection: body.readUInt32LE(0),
  inFlight: body.readUInt32LE(4),
  request: body.readDoubleLE(8),
  receivedAt: body.readDoubleLE(16),
  bytesRead: body.readDoubleLE(24),
  bytesWritten: body.readDoubleLE(32),
  claim: body.readUInt32LE(40)
})

/** What a message on its way counts for: also one without bytes takes room. */
export const cost = (bytes: number): number => bytes + header

/** A number as the body of a frame. */
export const count = (n: number): Buffer => {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32LE(n)
  return out
}

const asBuffer = (chunk: Uint8Array): Buffer =>
  Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
