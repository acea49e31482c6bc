import type * as Codec from "@socketserver/core/Codec"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Protocol from "@socketserver/core/Protocol"
import * as Result from "effect/Result"

/** Framings whose datagrams are payloads as they come: several lines, say, where a connection has one at a time. */

/** The framing of a protocol, with a decoder of its own where it has one. */
export const datagramsWhole = (
  of: Protocol.Framed<Uint8Array>,
  decoder: Codec.Side<Uint8Array, Uint8Array>["decoder"] = of.client.decoder
): Protocol.Protocol<Uint8Array, Uint8Array> => {
  const { maxFrameBytes } = of.client
  const unframe = (datagram: Uint8Array): Result.Result<Uint8Array, Protocol.DecodeError> =>
    datagram.length > maxFrameBytes ? Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0)) : Result.succeed(datagram)
  const side: Codec.Side<Uint8Array, Uint8Array> = {
    ...of.client,
    decoder,
    datagram: { unframe, decode: unframe, frame: (payload) => payload, encode: (message) => message }
  }
  return { ...of, server: side as Codec.Side<unknown, never>, client: side }
}

/** The conversion of responses where nobody is answered. */
export const noAnswer: Protocol.Conversion<Uint8Array, never> = {
  decode: () => Result.fail("nobody is answered"),
  encode: (never) => Result.succeed(never)
}
