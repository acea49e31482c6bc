import type { Side } from "../Codec.ts"
import type { Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { kindOf, messageOf } from "./errors.ts"
import { Unencodable } from "./unencodable.ts"

/** A message that was encoded elsewhere: its payload, which is only framed here. */
export class Encoded {
  readonly payload: Payload
  constructor(payload: Payload) {
    this.payload = payload
  }
}

/** A frame of which nothing was copied together, since it is large. */
export class Pieces {
  readonly all: ReadonlyArray<Uint8Array>
  readonly length: number
  constructor(all: ReadonlyArray<Uint8Array>) {
    this.all = all
    this.length = all.reduce((sum, { length }) => sum + length, 0)
  }
}

/** What goes over a connection. */
export type Frame = Payload | Pieces

/** A message whose frame was made before its turn. */
export class Framed {
  readonly frame: Payload
  constructor(frame: Payload) {
    this.frame = frame
  }
}

/** Makes the frame of a message, or says why it has none. */
export type Encode<Write> = (message: Write | Encoded) => Payload | Unencodable

/**
 * From messages to what a wire carries: the one place that looks at it when
 * messages are encoded, and that catches what an encoder throws.
 */
export const encoderOf = <Write>(side: Side<unknown, Write>, carries: Wire.Wire["carries"]): Encode<Write> => {
  const known = encoders[carries].get(side)
  if (known !== undefined) return known as Encode<Write>
  const encoder = encoderFor(side, carries)
  encoders[carries].set(side, encoder)
  return encoder
}

/** All connections of a server share one. */
const encoders: Record<Wire.Wire["carries"], WeakMap<object, Encode<never>>> = {
  stream: new WeakMap(),
  datagrams: new WeakMap(),
  payloads: new WeakMap()
}

const encoderFor = <Write>(side: Side<unknown, Write>, carries: Wire.Wire["carries"]): Encode<Write> => {
  const { encode, frame } = formOf(side, carries)
  return (message) => {
    let encoded: unknown
    // oxlint-disable-next-line socketserver/no-try -- an encoder is user code, and what it throws must not reach the event loop
    try {
      encoded = typeof message === "object" && message instanceof Encoded ? frame(message.payload) : encode(message)
    } catch (error) {
      return new Unencodable(notTaken(side.takes, message) ?? `the encoder threw: ${messageOf(error)}`)
    }
    if (typeof encoded === "string" || encoded instanceof Uint8Array || encoded instanceof Unencodable) return encoded
    return new Unencodable(notTaken(side.takes, message) ?? "the encoder returned neither text nor bytes")
  }
}

/** Makes what goes over a connection of a message, or says why there is none. */
export type ToFrame<Write> = (message: Write | Encoded) => Frame | Unencodable

/** The same for what leaves in its turn, where large payloads need not be copied. */
export const framerOf = <Write>(side: Side<unknown, Write>, carries: Wire.Wire["carries"]): ToFrame<Write> => {
  const known = framers[carries].get(side)
  if (known !== undefined) return known as ToFrame<Write>
  const encode = encoderOf(side, carries)
  const pieces = carries === "stream" ? side.pieces : undefined
  const framer: ToFrame<Write> =
    pieces === undefined
      ? encode
      : (message) => {
          const payload = message instanceof Encoded ? message.payload : side.plain ? message : undefined
          if (!(payload instanceof Uint8Array) || !isLarge(payload)) return encode(message)
          const all = pieces(payload)
          return all instanceof Unencodable ? all : new Pieces(all)
        }
  framers[carries].set(side, framer as never)
  return framer
}

const framers: Record<Wire.Wire["carries"], WeakMap<object, ToFrame<never>>> = {
  stream: new WeakMap(),
  datagrams: new WeakMap(),
  payloads: new WeakMap()
}

/** Smaller ones are joined with others before they leave, and a view of much more would keep all of that. */
const isLarge = ({ buffer, length }: Uint8Array): boolean => length >= 65_536 && length * 2 >= buffer.byteLength

/** Says of a message that was not encoded that it is none, where that is known. */
const notTaken = (takes: Side<unknown, never>["takes"], message: unknown): string | undefined => {
  const isOne = takes === "text" ? typeof message === "string" : takes !== "bytes" || message instanceof Uint8Array
  return isOne
    ? undefined
    : `a message is ${takes === "text" ? "a string" : "a Uint8Array"}, and this is ${kindOf(message)}`
}

const formOf = <Write>(
  side: Side<unknown, Write>,
  carries: Wire.Wire["carries"]
): Pick<Side<unknown, Write>, "encode" | "frame"> => {
  switch (carries) {
    case "stream":
      return side
    case "datagrams":
      return side.datagram
    case "payloads":
      return { encode: side.payload.encode, frame: (payload) => payload }
  }
}
