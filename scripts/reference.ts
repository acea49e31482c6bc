/**
 * Writes `docs/reference/{api,options,errors}.md` from the sources' JSDoc. `--check` only compares.
 */
import { emit } from "./emit.ts"
import { type Field, fieldsOf, isOptions, membersOfUnion, optionsParents, type Tagged, taggedError } from "./shapes.ts"
import { type Declared, firstSentence, type Module, modulesOf, packages } from "./sources.ts"

const modules = packages.flatMap(modulesOf)

/** Every module, and where its documentation stands. */
const api = (): string =>
  page(
    "Modules",
    "Every module. Its name leads to its source, where each export has its documentation; `pnpm docs:api` makes pages of it.",
    [...Map.groupBy(modules, (module) => module.package)].map(([name, own]) =>
      blocks(
        `## ${name}`,
        table(
          ["module", "what"],
          own.map(({ file, header, name }) => [`[${code(name)}](../../${file})`, line(firstSentence(header))])
        )
      )
    )
  )

/** Every exported interface whose name ends with `Options`. */
const options = (): string =>
  page(
    "Options",
    "Every option: its type, its default, and what it means.",
    exported(isOptions).map(([module, it]) => {
      const parents = optionsParents(module, it).map((name) => `[${code(name)}](#${anchor(name)})`)
      return section(module, it, [
        parents.length === 0 ? "" : `With those of ${parents.join(" and ")}.`,
        table(["option", "type", "default", "meaning"], fieldsOf(module, it).map(option))
      ])
    })
  )

/** What a doc says of the default stands in a column of its own. */
const option = ({ doc, name, optional, type }: Field): ReadonlyArray<string> => {
  const [sentence, standard] = /\s*\bDefault: (.+?)\.(?=\s|$)/s.exec(doc) ?? ["", optional ? "" : "required"]
  return [code(name), code(type), prose(standard!), prose(doc.replace(sentence!, ""))]
}

/** Every tagged error, then the outcomes a request can end in. */
const errors = (): string =>
  page("Errors", "Every error a program can meet in a type, and every outcome a request can end in.", [
    ...exported((module, it) => taggedError(module, it) !== undefined).map(([module, it]) => {
      const { fields, tag } = taggedError(module, it)!
      const reason = fields.find((field) => field.name === "reason")
      return section(module, it, [
        tag === it.name ? "" : `Tag: ${code(tag)}.`,
        fieldTable(fields),
        reasonTable(reason === undefined ? [] : membersOfUnion(module, reason.type))
      ])
    }),
    ...modules
      .filter(({ name }) => name === "Outcome")
      .flatMap((module) => [
        "## Outcomes",
        firstSentence(module.header),
        ...membersOfUnion(module, "Outcome").map(({ doc, fields, tag }) =>
          blocks(`### ${code(tag)}`, paragraphs(doc), fieldTable(fields))
        )
      ])
  ])

const fieldTable = (fields: ReadonlyArray<Field>): string =>
  table(
    ["field", "type", "meaning"],
    fields.map(({ doc, name, optional, type }) => [code(name + (optional ? "?" : "")), code(type), prose(doc)])
  )

/** The members of an error's `reason`, for `Effect.catchReason`. */
const reasonTable = (reasons: ReadonlyArray<Tagged>): string =>
  table(
    ["reason", "with", "meaning"],
    reasons.map(({ doc, fields, tag }) => [
      code(tag),
      fields.map((it) => code(it.name)).join(", "),
      prose(doc.split("\n\n")[0]!)
    ])
  )

const exported = (accept: (module: Module, it: Declared) => boolean) =>
  modules
    .flatMap((module) => [module, ...module.parts])
    .flatMap((module) =>
      module.declared.filter((it) => it.exported && accept(module, it)).map((it) => [module, it] as const)
    )

const page = (title: string, introduction: string, sections: ReadonlyArray<string>): string =>
  blocks(`# ${title}`, introduction, "Generated from the source by `pnpm docs:reference`.", ...sections) + "\n"

const section = (module: Module, it: Declared, parts: ReadonlyArray<string>): string =>
  blocks(
    `## ${module.name}.${it.name}`,
    `From [${code(`${module.package}/${module.name}`)}](../../${module.file}).`,
    paragraphs(it.doc),
    ...parts
  )

const blocks = (...parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join("\n\n")

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  rows.length === 0
    ? ""
    : [head, head.map(() => "---"), ...rows]
        .map((cells) => `| ${cells.map((cell) => cell.replace(/(?<!\\)\|/g, "\\|")).join(" | ")} |`)
        .join("\n")

const code = (text: string): string => (text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``)

const anchor = (heading: string): string => heading.toLowerCase().replaceAll(".", "")

/** A doc without its examples and links, as paragraphs. */
const paragraphs = (doc: string): string =>
  doc
    .split(/\n(?=\*\*Example\*\*)/)[0]!
    .replace(/\{@link\s+([^}]+)\}/g, "`$1`")
    .trim()

const prose = (doc: string): string => line(paragraphs(doc))

const line = (text: string): string => text.replace(/\s+/g, " ").trim()

emit("docs:reference", [
  { file: "docs/reference/api.md", text: api() },
  { file: "docs/reference/options.md", text: options() },
  { file: "docs/reference/errors.md", text: errors() }
])
