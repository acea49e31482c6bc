import * as Result from "effect/Result"
import type { Side } from "../Codec.ts"
import type { DecodeError, Payload, Protocol } from "../Protocol.ts"
import { Unencodable } from "./unencodable.ts"

/**
 * A client's side of a protocol, which sends no frame that is too large for its
 * server: whoever asked would only learn that the connection is closed.
 */
export const requestSide = <In, Out, Send, Receive>({
  client,
  server
}: Protocol<In, Out, Send, Receive>): Side<Receive, Send> => {
  const { maxFrameBytes } = server
  // What is written at once may be several frames: the server's own decoder says whether one is too large.
  const fits = (encoded: Payload | Unencodable, read: (bytes: Uint8Array) => DecodeError | undefined) => {
    // What is neither is said to be none by whoever writes it.
    if (typeof encoded !== "string" && !(encoded instanceof Uint8Array)) return encoded
    // A character is at most three bytes, or four for two of them.
    const most = typeof encoded === "string" ? encoded.length * 3 : encoded.length
    if (most + overheadBytes <= maxFrameBytes) return encoded
    const bytes = typeof encoded === "string" ? utf8.encode(encoded) : encoded
    // What it throws it throws at the server, too, which says it there.
    const fault = Result.getOrUndefined(Result.try(() => read(bytes)))
    return fault?._tag === "FrameTooLarge"
      ? new Unencodable(`it has ${bytes.length} bytes, and the server reads at most ${maxFrameBytes} (maxFrameBytes)`)
      : encoded
  }
  const readStream = (bytes: Uint8Array) => server.decoder().push(bytes, [])
  const readDatagram = (bytes: Uint8Array) => Result.match(server.datagram.unframe(bytes), faults)
  return {
    ...client,
    encode: (message) => fits(client.encode(message), readStream),
    // What is written in pieces nobody has looked at.
    pieces: undefined,
    datagram: { ...client.datagram, encode: (message) => fits(client.datagram.encode(message), readDatagram) }
  }
}

const faults = { onFailure: (fault: DecodeError) => fault, onSuccess: () => undefined }

/** What a datagram does without, and counts all the same. */
const overheadBytes = 32

const utf8 = new TextEncoder()
