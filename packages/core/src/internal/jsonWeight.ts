import type { Payload } from "../Protocol.ts"

/** What a value of JSON takes in memory beside its text, as V8 lays it out. */

/** For each byte of text, at most: `{"":{"":…`, by the figures below. */
const most = 34

/** At most, or as its text tells. That takes a look at each of its characters, so it is for where memory is short. */
export const weightOf = (bytes: number, payload?: Payload): number =>
  payload === undefined ? most * bytes : typeof payload === "string" ? ofText(payload) : ofBytes(payload)

const ofText = (text: string): number => {
  let sum = text.length * eachByte
  for (let i = 0; i < text.length; i++) sum += each[text.charCodeAt(i)] ?? 0
  return sum
}

const ofBytes = (bytes: Uint8Array): number => {
  let sum = bytes.length * eachByte
  for (let i = 0; i < bytes.length; i++) sum += each[bytes[i] as number] as number
  return sum
}

// Of a text, and of a copy of it in strings.
const eachByte = 2

const each = new Uint8Array(256)
// An array with one element, and the place in it.
each["[".charCodeAt(0)] = 56
each["{".charCodeAt(0)] = 56
// A property: its name, its place, and what V8 keeps of objects with properties of that name.
each[":".charCodeAt(0)] = 80
// An element, and its number.
each[",".charCodeAt(0)] = 24
// A string has two of them.
each['"'.charCodeAt(0)] = 12
