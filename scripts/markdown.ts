/**
 * What the generated pages are written with.
 */
import type { Field } from "./shapes.ts"
import type { Doc } from "./sources.ts"

export const page = (title: string, introduction: string, sections: ReadonlyArray<string>): string =>
  blocks(`# ${title}`, introduction, "Generated from the source by `pnpm docs:reference`.", ...sections) + "\n"

export const blocks = (...parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join("\n\n")

export const fieldTable = (fields: ReadonlyArray<Field>, meaning: (doc: Doc) => string = prose): string =>
  fields.length === 0
    ? ""
    : table(
        ["field", "type", "meaning"],
        fields.map((field) => [code(field.name + (field.optional ? "?" : "")), code(field.type), meaning(field.doc)])
      )

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n")

const cell = (text: string): string => text.replace(/(?<!\\)\|/g, "\\|")

export const code = (text: string): string =>
  text === "" ? "" : text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``

/** A block of code that the fence checker takes for text. */
export const fence = (text: string): string => `\`\`\`text\n${text}\n\`\`\``

export const plainLinks = (text: string): string => text.replace(/\{@link\s+([^}]+)\}/g, "`$1`")

/** A doc without its examples and links, as paragraphs. */
export const paragraphs = (doc: Doc): string => plainLinks(doc.text.split(/\n(?=\*\*Example\*\*)/)[0]!).trim()

export const prose = (doc: Doc): string => line(paragraphs(doc))

export const line = (text: string): string => plainLinks(text).replace(/\s+/g, " ").trim()

/** The anchors of a page's headings as GitHub makes them: `Endpoint.tcp` after `Endpoint.Tcp` is `endpointtcp-1`. */
export const anchors = (): ((heading: string) => string) => {
  const seen = new Map<string, number>()
  return (heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-")
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return before === 0 ? slug : `${slug}-${before}`
  }
}
