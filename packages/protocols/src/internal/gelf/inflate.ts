import * as Outcome from "@socketserver/core/Outcome"
import type { DecodeError } from "@socketserver/core/Protocol"
import * as Result from "effect/Result"
import { gunzipSync, inflateSync } from "node:zlib"
import * as json from "./json.ts"
import type { Message } from "./model.ts"
import { isCompressed, isGzip } from "./parts.ts"

/** A message that was put together or is compressed, and its JSON. */
export interface Unpacked {
  readonly message: Message
  readonly bytes: Uint8Array
}

/** The message in bytes that came whole. Inflation ends where it has made as much as a message may have. */
export const unpack = (bytes: Uint8Array, maxMessageBytes: number): Result.Result<Unpacked, DecodeError> =>
  Result.flatMap(isCompressed(bytes) ? inflate(bytes, maxMessageBytes) : Result.succeed(bytes), (bytes) =>
    Result.mapBoth(json.read(bytes), {
      onSuccess: (message) => ({ message, bytes }),
      onFailure: (reason) => Outcome.malformed(0, reason)
    })
  )

const inflate = (bytes: Uint8Array, maxOutputLength: number): Result.Result<Uint8Array, DecodeError> =>
  Result.try({
    try: () => (isGzip(bytes[0], bytes[1]) ? gunzipSync : inflateSync)(bytes, { maxOutputLength }),
    catch: (error) =>
      (error as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE"
        ? Outcome.frameTooLarge(maxOutputLength, 0)
        : Outcome.malformed(0, "it cannot be inflated")
  })
