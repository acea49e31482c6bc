/** What parsing a message may cost beside its bytes. */
export interface Shape {
  readonly maxDepth: number
  readonly maxValues: number
}

/** As far as options leave it open. */
export const defaults: Shape = { maxDepth: 32, maxValues: 4_096 }

/**
 * Why JSON is not parsed: how deep and how many its values are, as its brackets and
 * commas tell. Each byte is looked at once, up to the first that is too much. An empty
 * array or object counts as two values.
 */
export const problemOf = (json: Uint8Array, { maxDepth, maxValues }: Shape): string | undefined => {
  let depth = 0
  let values = 0
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case quote:
        at = endOfString(json, at + 1)
        break
      case openBracket:
      case openBrace:
        // It has a value more than it has commas.
        if (++values > maxValues) return tooMany(maxValues)
        // The first is the message itself.
        if (++depth > maxDepth + 1) return `it is nested more than ${maxDepth} levels deep`
        break
      case comma:
        if (++values > maxValues) return tooMany(maxValues)
        break
      case closeBracket:
      case closeBrace:
        depth--
    }
  }
  return undefined
}

const tooMany = (maxValues: number): string => `it has more than ${maxValues} values`

/** Where the quote is that ends a string. */
const endOfString = (json: Uint8Array, from: number): number => {
  for (let at = from; at < json.length; at++) {
    const byte = json[at]
    if (byte === quote) return at
    if (byte === backslash) at++
  }
  return json.length
}

const quote = 34
const comma = 44
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125
