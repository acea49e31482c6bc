/**
 * What a value of JSON takes in memory, about, as V8 lays it out; it came in so many bytes. It is
 * looked at where it may be much: of little the most is little, too.
 */
export const valueBytes = (value: unknown, cameIn: number): number => {
  if (cameIn <= little) return cameIn * most
  let sum = 0
  const open: Array<unknown> = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next === "string") sum += aString + 2 * next.length
    else if (Array.isArray(next)) {
      sum += anObject + 8 * next.length
      for (const element of next) open.push(element)
    } else if (typeof next === "object" && next !== null) {
      sum += anObject
      for (const element of Object.values(next)) {
        sum += aProperty
        open.push(element)
      }
    } else sum += aNumber
  }
  return sum
}

const little = 512
/** For each byte of text. */
const most = 16
const aString = 24
const anObject = 56
const aProperty = 80
const aNumber = 16
