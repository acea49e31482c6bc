/** How messages cross between parent and worker: the one place that encodes and decodes them. */
import { type Codec, Unencodable } from "@socketserver/core/Protocol"
import * as Result from "effect/Result"

/** The bytes of a message that goes from one program to the other, or why it has none. A frame of the channel is one message, as a datagram is. */
export const encode = <Message>(
  codec: Codec<never, Message>,
  message: Message
): Result.Result<string | Uint8Array, string> =>
  Result.flatMap(
    Result.try({ try: () => codec.datagram.encode(message), catch: (error) => `the encoder threw: ${textOf(error)}` }),
    (encoded) => (encoded instanceof Unencodable ? Result.fail(encoded.problem) : Result.succeed(encoded))
  )

/** The message that these bytes are, or why they are none. */
export const decode = <Message>(codec: Codec<Message, never>, bytes: Uint8Array): Result.Result<Message, string> =>
  Result.flatMap(
    Result.try({ try: () => codec.datagram.decode(bytes), catch: (error) => `the decoder threw: ${textOf(error)}` }),
    Result.mapError((fault) => (fault._tag === "Malformed" ? fault.reason : "it is too large"))
  )

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
