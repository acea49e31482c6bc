/**
 * Writes `docs/reference/{api,options,errors}.md` from the sources' JSDoc. `--check` only compares.
 */
import { emit } from "./emit.ts"
import { type Field, fieldsOf, membersOfUnion, parentsOf, type Tagged, taggedError } from "./shapes.ts"
import { type Doc, type Export, firstSentence, type Module, modulesOf, packages } from "./sources.ts"

const modules = packages.flatMap(modulesOf)

const page = (title: string, introduction: string, sections: ReadonlyArray<string>): string =>
  blocks(`# ${title}`, introduction, "Generated from the source by `pnpm docs:reference`.", ...sections) + "\n"

/** Every exported symbol, by module and category. */
const api = (): string =>
  page(
    "API",
    "Every module and what it exports.",
    packages.flatMap((name) => {
      const own = modules.filter((module) => module.package === `@socketserver/${name}`)
      return own.length === 0 ? [] : [`## @socketserver/${name}`, ...own.map(moduleSection)]
    })
  )

const moduleSection = (module: Module): string => {
  const byCategory = Map.groupBy(module.exports, (it) => it.doc.tags.get("category") ?? "other")
  const categories = [...byCategory].sort(([a], [b]) => rank(a) - rank(b))
  return blocks(
    `### ${module.name}`,
    line(firstSentence(module.header)),
    ...categories.flatMap(([category, exports]) => [`**${category}**`, exportTable(exports)])
  )
}

const rank = (category: string): number => {
  const order = "models services layers constructors combinators errors guards protocols running testing".split(" ")
  return order.includes(category) ? order.indexOf(category) : order.length
}

const exportTable = (exports: ReadonlyArray<Export>): string =>
  table(
    ["export", "kind", "what"],
    exports.map((it) => [code(it.name), it.kind, line(firstSentence(it.doc))])
  )

/** Every exported interface whose name ends with `Options`. */
const options = (): string =>
  page(
    "Options",
    "Every option: its type, its default, and what it means.",
    exportsOf((it) => it.name.endsWith("Options")).map(({ module, it }) =>
      section(module, it, [
        parentsOf(module, it)
          .map((parent) => `With those of ${code(parent)}.`)
          .join(" "),
        table(
          ["option", "type", "default", "meaning"],
          fieldsOf(module, it).map((field) => [code(field.name), code(field.type), defaultOf(field), prose(field.doc)])
        )
      ])
    )
  )

const defaultOf = (field: Field): string => {
  const said =
    field.doc.tags.get("default") ?? /\bdefaults?(?: to| is|:)?\s+(.+?)(?=[.;,](?:\s|$)|$)/is.exec(field.doc.text)?.[1]
  return said === undefined ? (field.optional ? "" : "required") : line(said)
}

/** Every tagged error, then the outcomes a request can end in. */
const errors = (): string => {
  const tagged = exportsOf((it, module) => taggedError(module, it) !== undefined).map(({ module, it }) => {
    const error = taggedError(module, it)!
    const reason = error.fields.find((field) => field.name === "reason")
    return section(module, it, [
      error.tag === it.name ? "" : `Tag: ${code(error.tag)}.`,
      fieldTable(error.fields),
      reason === undefined ? "" : reasonTable(membersOfUnion(module, reason.type))
    ])
  })
  const outcomes = modules.filter((module) => module.name === "Outcome").flatMap(outcomeSection)
  return page("Errors", "Every error a program can meet in a type, and every outcome a request can end in.", [
    ...tagged,
    ...outcomes
  ])
}

/** The members of an error's `reason`, for `Effect.catchReason`. */
const reasonTable = (reasons: ReadonlyArray<Tagged>): string =>
  reasons.length === 0
    ? ""
    : table(
        ["reason", "with", "meaning"],
        reasons.map(({ doc, fields, tag }) => [code(tag), fields.map((it) => code(it.name)).join(", "), prose(doc)])
      )

const outcomeSection = (module: Module): ReadonlyArray<string> => [
  "## Outcomes",
  line(firstSentence(module.header)),
  ...membersOfUnion(module, "Outcome").map(({ doc, fields, tag }) =>
    blocks(`### ${code(tag)}`, paragraphs(doc), fieldTable(fields))
  )
]

const exportsOf = (accept: (it: Export, module: Module) => boolean) =>
  modules.flatMap((module) => module.exports.filter((it) => accept(it, module)).map((it) => ({ module, it })))

const section = (module: Module, it: Export, parts: ReadonlyArray<string>): string =>
  blocks(
    `## ${module.name}.${it.name}`,
    `From ${code(`${module.package}/${module.name}`)}.`,
    paragraphs(it.doc),
    ...parts
  )

const blocks = (...parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join("\n\n")

const fieldTable = (fields: ReadonlyArray<Field>): string =>
  fields.length === 0
    ? ""
    : table(
        ["field", "type", "meaning"],
        fields.map((field) => [code(field.name + (field.optional ? "?" : "")), code(field.type), prose(field.doc)])
      )

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n")

const cell = (text: string): string => text.replace(/(?<!\\)\|/g, "\\|")

const code = (text: string): string => (text === "" ? "" : `\`${text}\``)

/** A doc without its examples and links, as paragraphs. */
const paragraphs = (doc: Doc): string =>
  doc.text
    .split(/\n(?=\*\*Example\*\*)/)[0]!
    .replace(/\{@link\s+([^}]+)\}/g, "`$1`")
    .trim()

const prose = (doc: Doc): string => line(paragraphs(doc))

const line = (text: string): string =>
  text
    .replace(/\{@link\s+([^}]+)\}/g, "`$1`")
    .replace(/\s+/g, " ")
    .trim()

emit("docs:reference", [
  { file: "docs/reference/api.md", text: api() },
  { file: "docs/reference/options.md", text: options() },
  { file: "docs/reference/errors.md", text: errors() }
])
