/** Integers of 64 bits, as Redis reads and adds them. */
import type { Value } from "./store.ts"

const [least, most] = [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n]

/** A number where that is exact; nothing where the text is none, or has another form than Redis writes. */
export const integerOf = (text: string): number | bigint | undefined => {
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) return undefined
  const number = Number(text)
  if (Number.isSafeInteger(number)) return number
  const exact = BigInt(text)
  return exact >= least && exact <= most ? exact : undefined
}

/** The sum, where 64 bits have room for it. */
export const sumOf = (a: number | bigint, b: number | bigint): number | bigint | undefined => {
  if (typeof a === "number" && typeof b === "number" && Number.isSafeInteger(a + b)) return a + b
  const sum = BigInt(a) + BigInt(b)
  return sum >= least && sum <= most ? sum : undefined
}

/** The integer that a value is, if it is one. */
export const numberOf = (value: Value): number | bigint | undefined => {
  if (typeof value === "string") return integerOf(value)
  return value.length > 20 ? undefined : integerOf(String.fromCharCode(...value))
}
