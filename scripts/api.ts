/**
 * The pages of the API: an index, and for each package every exported symbol with its signature and members.
 */
import { anchors, blocks, code, fence, fieldTable, line, page, plainLinks, table } from "./markdown.ts"
import { type Field, membersOf, parentsOf, taggedError } from "./shapes.ts"
import { signaturesOf } from "./signatures.ts"
import { afterFirstSentence, type Doc, type Export, firstSentence, type Module, type Node } from "./sources.ts"

const folder = "docs/reference"

export const apiPages = (modules: ReadonlyArray<Module>): ReadonlyArray<{ file: string; text: string }> => {
  const byPackage = [...Map.groupBy(modules, (module) => module.package)]
  const places = placesOf(byPackage)
  return [
    { file: `${folder}/api.md`, text: index(byPackage, places) },
    ...byPackage.map(([name, own]) => ({ file: `${folder}/${fileOf(name)}`, text: packagePage(name, own, places) }))
  ]
}

/** Where everything stands: `Server` and `Server.Service` to `api-core.md#…`. */
type Places = ReadonlyMap<string, string>

const placesOf = (byPackage: ReadonlyArray<readonly [string, ReadonlyArray<Module>]>): Places =>
  new Map(
    byPackage.flatMap(([name, modules]) => {
      const anchor = anchors()
      const at = (heading: string) => [heading, `${fileOf(name)}#${anchor(heading)}`] as const
      return modules.flatMap((module) => [
        at(module.name),
        ...categoriesOf(module).flatMap(([category, exports]) => {
          anchor(categoryHeading(module, category))
          return exports.map((it) => at(`${module.name}.${it.name}`))
        })
      ])
    })
  )

const fileOf = (packageName: string): string => `api-${packageName.slice(packageName.indexOf("/") + 1)}.md`

const index = (byPackage: ReadonlyArray<readonly [string, ReadonlyArray<Module>]>, places: Places): string =>
  page(
    "API",
    "Every module and what it exports. Each name leads to its signature.",
    byPackage.map(([name, modules]) =>
      blocks(
        `## [${name}](${fileOf(name)})`,
        table(
          ["module", "what", "exports"],
          modules.map((module) => [
            linkTo(places, module.name, module.name),
            line(firstSentence(module.header)),
            exportLinks(
              module,
              places,
              categoriesOf(module).flatMap(([, exports]) => exports)
            )
          ])
        )
      )
    )
  )

const packagePage = (name: string, modules: ReadonlyArray<Module>, places: Places): string =>
  page(
    name,
    blocks(
      "[All packages](api.md)",
      "Signatures are written as in their module: in `Server`, `Server<In, Out>` is `Server.Server<In, Out>` to others. " +
        "A qualified name that is no module here is one of `effect`."
    ),
    modules.map((module) => moduleSection(module, links(places, module)))
  )

const moduleSection = (module: Module, linked: Linked): string => {
  const categories = categoriesOf(module)
  return blocks(
    `## ${module.name}`,
    `\`import { ${module.name} } from "${module.package}"\``,
    linked.prose(module.header),
    categories.map(([category, exports]) => `- ${category}: ${exportLinks(module, linked.places, exports)}`).join("\n"),
    ...categories.flatMap(([category, exports]) => [
      `### ${categoryHeading(module, category)}`,
      ...exports.map((it) => exportSection(module, it, linked))
    ])
  )
}

const categoryHeading = (module: Module, category: string): string => `${module.name}: ${category}`

/** One signature, doc and table for each thing that the name stands for: a type and a value may share it. */
const exportSection = (module: Module, it: Export, linked: Linked): string => {
  const things = Map.groupBy(it.declarations.keys(), (at) => (isType(it, at) ? "type" : "value"))
  return blocks(
    `#### ${module.name}.${it.name}`,
    ...[...things.values()].flatMap((positions) => {
      const nodes = positions.map((at) => it.declarations[at]!)
      const overloads = nodes.filter((node) => node.type === "TSDeclareFunction")
      const signatures = (overloads.length > 0 ? overloads : nodes).flatMap((node) =>
        signaturesOf(module, it.name, node)
      )
      if (signatures.length === 0) throw new Error(`${module.file}: \`${it.name}\` needs a type annotation`)
      return [
        fence(signatures.join("\n")),
        ...positions.map((at) => linked.prose(it.docs[at]!)),
        ...nodes.map((node) => members(it, fieldsIn(module, it, node), linked))
      ]
    }),
    parentsOf(module, it)
      .map((parent) => `With the fields of ${linked.name(parent)}.`)
      .join(" "),
    otherPage(module, it),
    it.doc.tags.has("see") ? `See ${linked.line(it.doc.tags.get("see")!)}.` : ""
  )
}

const isType = (it: Export, at: number): boolean =>
  ["TSInterfaceDeclaration", "TSTypeAliasDeclaration"].includes(it.declarations[at]!.type)

const fieldsIn = (module: Module, it: Export, node: Node): ReadonlyArray<Field> => [
  ...((node.type === "ClassDeclaration" && taggedError(module, it)?.fields) || []),
  ...membersOf(module, node)
]

/** The first sentences as a table, and below it what some members have to say beyond; `options.md` has that of options. */
const members = (it: Export, fields: ReadonlyArray<Field>, linked: Linked): string => {
  const more = it.name.endsWith("Options") ? [] : fields.filter(({ doc }) => afterFirstSentence(doc) !== "")
  return blocks(
    fieldTable(fields, (doc) => linked.line(firstSentence(doc))),
    more.map(({ doc, name }) => `- ${code(name)}: ${linked.line(afterFirstSentence(doc))}`).join("\n")
  )
}

const otherPage = (module: Module, it: Export): string => {
  const anchor = `${module.name}${it.name}`.toLowerCase()
  if (it.name.endsWith("Options")) return `The defaults are among the [options](options.md#${anchor}).`
  return taggedError(module, it) === undefined ? "" : `More among the [errors](errors.md#${anchor}).`
}

const order = "models services layers constructors combinators errors guards protocols running testing".split(" ")

const categoriesOf = (module: Module): ReadonlyArray<readonly [string, ReadonlyArray<Export>]> => {
  const rank = (category: string): number => (order.includes(category) ? order.indexOf(category) : order.length)
  const byCategory = Map.groupBy(module.exports, (it) => it.doc.tags.get("category") ?? "other")
  return [...byCategory].sort(([a], [b]) => rank(a) - rank(b))
}

const exportLinks = (module: Module, places: Places, exports: ReadonlyArray<Export>): string =>
  exports.map((it) => linkTo(places, `${module.name}.${it.name}`, it.name)).join(", ")

const linkTo = (places: Places, key: string, shown: string): string => {
  const place = places.get(key)
  return place === undefined ? code(shown) : `[${code(shown)}](${place})`
}

interface Linked {
  readonly places: Places
  readonly name: (name: string) => string
  readonly line: (text: string) => string
  readonly prose: (doc: Doc) => string
}

/** `{@link Name}` as seen from a module: its own exports first, then `Module.Name`, then a module. */
const links = (places: Places, module: Module): Linked => {
  const name = (name: string): string => {
    const key = [`${module.name}.${name}`, `${name}.${name}`, name].find((key) => places.has(key))
    return key === undefined ? code(name) : linkTo(places, key, name)
  }
  const resolve = (text: string) => text.replace(/\{@link\s+(\w+(?:\.\w+)*)\s*\}/g, (_, target: string) => name(target))
  return {
    places,
    name,
    line: (text) => line(resolve(text)),
    prose: (doc) => plainLinks(resolve(doc.text))
  }
}
