import type { Side } from "../Codec.ts"
import type { Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { messageOf } from "./errors.ts"
import { Unencodable } from "./unencodable.ts"

/** A message that was encoded elsewhere: its payload, which is only framed here. */
export class Encoded {
  readonly payload: Payload
  constructor(payload: Payload) {
    this.payload = payload
  }
}

/**
 * From messages to what a wire carries: the one place that looks at it when it
 * is written, and that catches what an encoder throws.
 */
export const encode = <Write>(
  side: Side<unknown, Write>,
  carries: Wire.Wire["carries"],
  message: Write | Encoded
): Payload | Unencodable => {
  let encoded: unknown
  // oxlint-disable-next-line socketserver/no-try -- an encoder is user code, and what it throws must not reach the event loop
  try {
    if (typeof message === "object" && message instanceof Encoded) encoded = frame(side, carries, message.payload)
    else if (carries === "stream") encoded = side.encode(message)
    else encoded = (carries === "datagrams" ? side.datagram : side.payload).encode(message)
  } catch (error) {
    return new Unencodable(`the encoder threw: ${messageOf(error)}`)
  }
  if (typeof encoded === "string" || encoded instanceof Uint8Array || encoded instanceof Unencodable) return encoded
  return new Unencodable("the encoder returned neither text nor bytes")
}

const frame = (side: Side<unknown, never>, carries: Wire.Wire["carries"], payload: Payload): Payload | Unencodable => {
  switch (carries) {
    case "stream":
      return side.frame(payload)
    case "datagrams":
      return side.datagram.frame(payload)
    case "payloads":
      return payload
  }
}
