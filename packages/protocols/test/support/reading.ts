/** The two ends of a protocol, as the tests feed them by hand. */
import type * as Codec from "@socketserver/core/Codec"
import type * as Protocol from "@socketserver/core/Protocol"

/** The server's end, with the types of the protocol. */
export const serverOf = <In, Out, Send, Receive>(
  protocol: Protocol.Protocol<In, Out, Send, Receive>
): Codec.Side<In, Out> => protocol.server as never

/** What chunks are read as, and what ended them. */
export const read = <Message>(
  side: Codec.Side<Message, never>,
  chunks: ReadonlyArray<Uint8Array>
): { readonly messages: ReadonlyArray<Message>; readonly error: Protocol.DecodeError | undefined } => {
  const decoder = side.decoder()
  const messages: Array<Message> = []
  for (const chunk of chunks) {
    const error = decoder.push(chunk.slice(), messages)
    if (error !== undefined) return { messages, error }
  }
  return { messages, error: decoder.end(messages) }
}

/** Input in pieces of these sizes, again and again. */
export const cut = (input: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < input.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length]!)
    chunks.push(input.subarray(at, at + size))
    at += size
  }
  return chunks
}
