import type { Framing } from "../Codec.ts"
import type { Framed, Protocol } from "../Protocol.ts"
import type { FramingOptions } from "../protocols/framings.ts"

/** How a protocol is put together. */

export const TypeId = "~@socketserver/core/Protocol"

// The types of a protocol are phantom, so it is built without them and gets them from the signature of its constructor.
export const build = <In, Out, Send, Receive>(options: {
  readonly name: string
  readonly kind?: "messages" | "connection"
  readonly problem: string | undefined
  readonly server: unknown
  readonly client: unknown
  readonly framing?: Framing
  readonly atStop?: "endInput" | "told" | undefined
}): Protocol<In, Out, Send, Receive> =>
  ({
    [TypeId]: variance,
    kind: "messages",
    correlation: undefined,
    control: undefined,
    atStop: "endInput",
    ...options
  }) as never

const variance = { _In: (_: never) => _, _Out: (_: never) => _ }

/** A protocol of plain payloads in one of the two forms of a framing. */
export const framed = <Message>(
  name: string,
  framing: Framing,
  form: "bytes" | "text",
  problem: string | undefined
): Framed<Message> =>
  build<Message, Message, Message, Message>({
    name,
    problem,
    framing,
    server: framing[form],
    client: framing[form]
  }) as Framed<Message>

/** The largest frame where a protocol is not told another. */
export const defaultMax = 65_536

export const isSize = (bytes: number): boolean => Number.isSafeInteger(bytes) && bytes >= 1

export const maximum = (options: FramingOptions | undefined): number => {
  const max = options?.maxFrameBytes ?? defaultMax
  return isSize(max) ? max : defaultMax
}

export const problemOf = (options: FramingOptions | undefined): string | undefined => {
  const max = options?.maxFrameBytes ?? defaultMax
  return isSize(max) ? undefined : `maxFrameBytes must be a positive integer, not ${max}`
}
