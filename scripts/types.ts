/**
 * The text of types as they stand in the source, fit to be read elsewhere.
 */
import type { Module } from "./sources.ts"

export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The source from `start` to `end` without comments, moved to the left margin. */
export const sourceOf = (
  module: Pick<Module, "comments" | "source">,
  start: number,
  end: number,
  edits: ReadonlyArray<Edit> = []
): string => {
  const comments = module.comments.map((comment) => withItsLine(module.source, comment))
  const text = [...edits, ...comments]
    .filter((edit) => edit.start >= start && edit.end <= end)
    .sort((a, b) => b.start - a.start)
    .reduce(
      (text, edit) => text.slice(0, edit.start - start) + edit.text + text.slice(edit.end - start),
      module.source.slice(start, end)
    )
  const margin = /[^\n]*$/.exec(module.source.slice(0, start))![0].match(/^ */)![0]
  return text
    .split("\n")
    .map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line).trimEnd())
    .join("\n")
    .trim()
}

/** A comment that has a line for itself leaves none behind, another no second space. */
const withItsLine = (source: string, comment: { readonly start: number; readonly end: number }): Edit => {
  const before = /\n[^\S\n]*$/.exec(source.slice(0, comment.start))
  const alone = before !== null && /^[^\S\n]*\n/.test(source.slice(comment.end, comment.end + 200))
  const space = /^ ?/.exec(source.slice(comment.end, comment.end + 1))![0].length
  return { start: alone ? before.index : comment.start, end: comment.end + (alone ? 0 : space), text: "" }
}

/** For the cell of a table. */
export const oneLine = (type: string): string =>
  type
    .trim()
    .replace(/(?<![{(<[,|&=:?]|=>)\n\s*(?![})>\]|&?:=.])/g, "; ")
    .replace(/\s+/g, " ")
    .replace(/([(<[]) /g, "$1")
    .replace(/ ([)>\]])/g, "$1")
    .replace(/([(<[:]|^)\s*\| /g, (_, open: string) => (open === ":" ? ": " : open))
