import type { Reply } from "../../Resp.ts"
import { doubleText } from "./encoding.ts"

/** A reply as RESP2 has it. What RESP2 knows stays the same object. */
export const downgrade = (reply: Reply): Reply => {
  switch (reply._tag) {
    case "Null":
      return reply.form === "null" ? nil : reply
    case "Boolean":
      return reply.value ? one : zero
    case "Double":
      return { _tag: "BulkString", value: doubleText(reply.value) }
    case "BigNumber":
      return { _tag: "BulkString", value: String(reply.value) }
    case "VerbatimString":
      return { _tag: "BulkString", value: reply.value }
    case "BulkError":
      return { _tag: "Error", value: reply.value }
    case "Map":
      return { _tag: "Array", value: reply.value.flatMap(([key, value]) => [downgrade(key), downgrade(value)]) }
    case "Set":
    case "Push":
      return { _tag: "Array", value: all(reply.value) }
    case "Attributed":
      return downgrade(reply.value)
    case "Array":
    case "Several": {
      const value = all(reply.value)
      return value === reply.value ? reply : { _tag: reply._tag, value }
    }
    default:
      return reply
  }
}

/** The same array where nothing of it is other in RESP2. */
const all = (replies: ReadonlyArray<Reply>): ReadonlyArray<Reply> => {
  let changed: Array<Reply> | undefined
  for (let i = 0; i < replies.length; i++) {
    const before = replies[i] as Reply
    const after = downgrade(before)
    if (after !== before) changed ??= replies.slice(0, i)
    changed?.push(after)
  }
  return changed ?? replies
}

const nil: Reply = { _tag: "Null", form: "bulk" }
const one: Reply = { _tag: "Integer", value: 1 }
const zero: Reply = { _tag: "Integer", value: 0 }
