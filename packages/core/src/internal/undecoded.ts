import type { DecodeError, Payload } from "../Protocol.ts"

/**
 * The payloads that faults are of, where a framing has found one and a codec cannot
 * read it: beside the fault, since few look at it.
 */
const payloads = new WeakMap<DecodeError, Payload>()

export const withPayload = (fault: DecodeError, payload: Payload | undefined): DecodeError => {
  // Its bytes are the transport's, and it may be told later.
  if (payload !== undefined && !payloads.has(fault)) {
    payloads.set(fault, typeof payload === "string" ? payload : payload.slice())
  }
  return fault
}

export const payloadOf = (fault: DecodeError): Payload | undefined => payloads.get(fault)
