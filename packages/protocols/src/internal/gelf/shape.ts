/** What parsing a message may cost beside its bytes. */
export interface Shape {
  readonly maxDepth: number
  readonly maxValues: number
}

/** As far as options leave it open. */
export const defaults: Shape = { maxDepth: 32, maxValues: 4_096 }

/**
 * Why a text of JSON is not parsed: how deep and how many its values are, as its
 * brackets and commas tell. Each character is looked at once, up to the first that is
 * too much. An empty array or object counts as two values.
 */
export const problemOf = (text: string, { maxDepth, maxValues }: Shape): string | undefined => {
  let depth = 0
  let values = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at + 1)
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
const endOfString = (text: string, from: number): number => {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === backslash) at++
  }
  return text.length
}

const quote = 34
const comma = 44
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125
