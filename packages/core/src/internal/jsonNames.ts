/**
 * JSON whose property names have escapes, read without `JSON.parse` for the names.
 *
 * V8 compares a name with the one that it expects there by its text and the length of what the text stands for: after
 * `{"a":1,"\\":2}`, the name of `{"a":1,"\"":2}` is read as a backslash. So what one peer sends changes what another has
 * sent (https://github.com/nodejs/node/issues/63785; Node 24 and 26, not 22). Strings that are values are not compared.
 */

/** Whether a name has an escape, in valid JSON. Looks only at strings that have one. */
export const hasEscapes = (text: string): boolean => {
  for (let at = text.indexOf("\\"); at !== -1;) {
    const end = endOfString(text, at)
    if (text.charCodeAt(afterSpace(text, end)) === colon) return true
    at = text.indexOf("\\", end)
  }
  return false
}

/** The value of valid JSON. */
export const parse = (text: string): unknown => {
  const root: Array<unknown> = []
  const open: Array<Record<string, unknown> | Array<unknown>> = [root]
  let name: string | undefined
  const add = (value: unknown) => {
    const into = open.at(-1) as Record<string, unknown> | Array<unknown>
    if (Array.isArray(into)) into.push(value)
    // Assigned, `__proto__` would be the object's prototype.
    else Object.defineProperty(into, name as string, { value, writable: true, enumerable: true, configurable: true })
    name = undefined
  }
  for (let at = afterSpace(text, 0); at < text.length; at = afterSpace(text, at)) {
    const code = text.charCodeAt(at)
    if (code === openBrace || code === openBracket) {
      const value = code === openBrace ? {} : []
      add(value)
      open.push(value)
      at++
    } else if (code === closeBrace || code === closeBracket) {
      open.pop()
      at++
    } else if (code === colon || code === comma) {
      at++
    } else {
      const end = code === quote ? endOfString(text, at + 1) : endOfWord(text, at)
      const value = JSON.parse(text.slice(at, end)) as unknown
      if (typeof value === "string" && name === undefined && !Array.isArray(open.at(-1))) name = value
      else add(value)
      at = end
    }
  }
  return root[0]
}

/** Where a string ends, after its quote, from within it on. */
const endOfString = (text: string, from: number): number => {
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at + 1
    if (code === backslash) at++
  }
}

const endOfWord = (text: string, from: number): number => {
  let at = from
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code <= space || code === comma || code === closeBrace || code === closeBracket) break
  }
  return at
}

const afterSpace = (text: string, from: number): number => {
  let at = from
  while (text.charCodeAt(at) <= space) at++
  return at
}

const space = 32
const quote = 34
const comma = 44
const colon = 58
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125
