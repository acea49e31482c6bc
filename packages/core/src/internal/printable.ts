/**
 * Text that may hold what strangers have sent, as it may be shown: in one line, with
 * nothing in it that a terminal obeys or that reorders what is read. Longer text is cut.
 *
 * The one function of its kind: what is logged goes through it.
 */
export const printable = (text: string, most = mostCharacters): string => {
  const cut = text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text
  return odd.test(cut) ? cut.replaceAll(allOdd, escape) : cut
}

/** The same, in several lines where it has several: a stack. */
export const printableLines = (text: string): string =>
  odd.test(text)
    ? text
        .split("\n")
        .map((line) => printable(line, Infinity))
        .join("\n")
    : text

// Controls; separators of lines; marks that change the direction of what follows; halves of characters.
const class_ = String.raw`[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}`
const odd = new RegExp(class_, "u")
const allOdd = new RegExp(class_, "gu")

const escape = (character: string): string => {
  const short = shorts[character]
  if (short !== undefined) return short
  const code = character.charCodeAt(0).toString(16)
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`
}

const shorts: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const mostCharacters = 1_024
