/**
 * Writes `docs/reference/{api,api-<package>,options,errors}.md` from the sources' JSDoc. `--check` only compares.
 */
import { apiPages } from "./api.ts"
import { emit } from "./emit.ts"
import { blocks, code, fieldTable, line, page, paragraphs, prose, table } from "./markdown.ts"
import { type Field, fieldsOf, membersOfUnion, parentsOf, type Tagged, taggedError } from "./shapes.ts"
import { type Export, firstSentence, type Module, modulesOf, packages } from "./sources.ts"

const modules = packages.flatMap(modulesOf)

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

emit("docs:reference", [
  ...apiPages(modules),
  { file: "docs/reference/options.md", text: options() },
  { file: "docs/reference/errors.md", text: errors() }
])
