import * as Outcome from "@socketserver/core/Outcome"
import type { DecodeError } from "@socketserver/core/Protocol"
import * as Result from "effect/Result"
import { gunzipSync, inflateSync } from "node:zlib"
import * as json from "./json.ts"
import type { Message } from "./model.ts"
import { isCompressed, isGzip } from "./parts.ts"
import type { Shape } from "./shape.ts"

/** A message that was put together or is compressed, and its JSON. */
export interface Unpacked {
  readonly message: Message
  readonly bytes: Uint8Array
}

/** How large a message may be, and what it may cost. */
export interface Bounds extends Shape {
  readonly maxMessageBytes: number
  readonly maxRatio: number
}

/** The message in bytes that came whole. Inflation ends where it has made as much as a message may have. */
export const unpack = (bytes: Uint8Array, bounds: Bounds): Result.Result<Unpacked, DecodeError> =>
  Result.flatMap(isCompressed(bytes) ? inflate(bytes, bounds) : Result.succeed(bytes), (bytes) =>
    Result.mapBoth(json.read(bytes, bounds), {
      onSuccess: (message) => ({ message, bytes }),
      onFailure: (reason) => Outcome.malformed(0, reason)
    })
  )

const inflate = (bytes: Uint8Array, { maxMessageBytes, maxRatio }: Bounds): Result.Result<Uint8Array, DecodeError> => {
  const maxOutputLength = Math.min(maxMessageBytes, Math.max(whateverItsRatio, maxRatio * bytes.length))
  return Result.try({
    try: () => (isGzip(bytes[0], bytes[1]) ? gunzipSync : inflateSync)(bytes, { maxOutputLength }),
    catch: (error) => {
      if ((error as { readonly code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE")
        return Outcome.malformed(0, "it cannot be inflated")
      return maxOutputLength === maxMessageBytes
        ? Outcome.frameTooLarge(maxMessageBytes, 0)
        : Outcome.malformed(0, `it inflates to more than ${maxRatio} times its size`)
    }
  })
}

/** Of so many bytes the ratio does not matter: a stack trace of a thousand lines that are all the same is no attack. */
const whateverItsRatio = 65_536
