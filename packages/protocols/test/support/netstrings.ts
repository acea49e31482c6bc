/** Netstrings as their specification reads, a byte at a time: the reference that `Protocol.netstring` is compared with. */
export const netstrings = (
  input: Uint8Array,
  maxFrameBytes: number
): { readonly messages: ReadonlyArray<Uint8Array>; readonly end: "end" | "Malformed" | "FrameTooLarge" } => {
  const messages: Array<Uint8Array> = []
  let at = 0
  while (at < input.length) {
    const start = at
    let digits = ""
    while (at < input.length && input[at] !== 58) {
      const character = String.fromCharCode(input[at++] as number)
      // Ten digits are more than any memory.
      if (!/\d/.test(character) || digits === "0" || digits.length === 10) return { messages, end: "Malformed" }
      digits += character
    }
    if (at === input.length) return { messages, end: "Malformed" }
    if (digits === "") return { messages, end: "Malformed" }
    const end = at + 1 + Number(digits)
    if (end + 1 - start > maxFrameBytes) return { messages, end: "FrameTooLarge" }
    if (end >= input.length || input[end] !== 44) return { messages, end: "Malformed" }
    messages.push(input.slice(at + 1, end))
    at = end + 1
  }
  return { messages, end: "end" }
}
