/**
 * The packages' sources as data: modules, their exports and the JSDoc on them.
 *
 * Reads syntax only. What a type means is the compiler's business.
 */
import { readdirSync, readFileSync } from "node:fs"
import { type Comment, type Directive, type Program, parseSync, type Statement } from "oxc-parser"

export type Node = Statement | Directive

export interface Doc {
  /** Everything before the first tag. */
  readonly text: string
  readonly tags: ReadonlyMap<string, string>
}

export interface Export {
  readonly name: string
  /** How it was declared: `const`, `interface`, `class`… joined where one name has several declarations. */
  readonly kind: string
  readonly doc: Doc
  readonly declarations: ReadonlyArray<Node>
  /** The doc of each declaration. */
  readonly docs: ReadonlyArray<Doc>
}

export interface Module {
  /** `@socketserver/core` */
  readonly package: string
  /** `Server` */
  readonly name: string
  readonly file: string
  readonly source: string
  readonly comments: ReadonlyArray<Comment>
  readonly header: Doc
  readonly exports: ReadonlyArray<Export>
  /** What is declared here and not exported. */
  readonly locals: ReadonlyMap<string, Export>
}

/** The published packages; `bench` is private. */
export const packages = ["core", "node", "testkit"] as const

export const modulesOf = (name: string): ReadonlyArray<Module> => {
  const folder = `packages/${name}/src`
  return readdirSync(folder)
    .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
    .sort()
    .map((file) => readModule(`@socketserver/${name}`, `${folder}/${file}`))
}

export const parse = (file: string, source: string) => {
  const { comments, errors, program } = parseSync(file, source)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]!.codeframe ?? errors[0]!.message}`)
  return { comments, program }
}

/** The JSDoc comment that stands directly above `position`, without a blank line between. */
export const docAt = (module: Pick<Module, "comments" | "source">, position: number): Doc => {
  const comment = module.comments.findLast(
    (comment) => comment.end <= position && /^[^\S\n]*\n?[^\S\n]*$/.test(module.source.slice(comment.end, position))
  )
  return comment === undefined ? noDoc : toDoc(comment)
}

export const firstSentence = (doc: Doc): string => cut(doc)[0].replace(/\s+/g, " ")

/** What a doc says after its first sentence. */
export const afterFirstSentence = (doc: Doc): string => cut(doc)[1].trim()

const cut = (doc: Doc): readonly [string, string] => {
  const [paragraph = ""] = doc.text.split(/\n\s*\n/)
  const sentence = /^.*?(?<!\b(?:e\.g|i\.e|vs))[.!?](?=\s|$)/s.exec(paragraph)?.[0] ?? paragraph
  return [sentence, doc.text.slice(sentence.length)]
}

const readModule = (packageName: string, file: string): Module => {
  const source = readFileSync(file, "utf8")
  const { comments, program } = parse(file, source)
  const docs = { comments, source }
  const exports = new Map<string, Export>()
  const locals = localsOf(program, docs)
  for (const found of exported(program, docs, locals)) {
    const known = exports.get(found.name)
    exports.set(found.name, known === undefined ? found : join(known, found))
  }
  return {
    package: packageName,
    name: file.slice(file.lastIndexOf("/") + 1, -".ts".length),
    file,
    source,
    comments,
    header: headerOf(program, docs),
    exports: [...exports.values()].filter((it) => !it.doc.tags.has("internal")),
    locals: new Map([...locals].filter(([name]) => !exports.has(name)))
  }
}

/** The first JSDoc comment, unless it belongs to the first export. */
const headerOf = (program: Program, docs: Pick<Module, "comments" | "source">): Doc => {
  const first = docs.comments[0]
  const statement = program.body[0]
  if (first === undefined || !isJsDoc(first) || (statement !== undefined && statement.start < first.start)) return noDoc
  const header = toDoc(first)
  const belongs = statement?.type === "ExportNamedDeclaration" && docAt(docs, statement.start).text === header.text
  return belongs ? noDoc : header
}

const localsOf = (program: Program, docs: Pick<Module, "comments" | "source">): ReadonlyMap<string, Export> =>
  new Map(
    program.body.flatMap((statement) =>
      [...declared(statement, docAt(docs, statement.start))].map((it) => [it.name, it] as const)
    )
  )

function* exported(
  program: Program,
  docs: Pick<Module, "comments" | "source">,
  locals: ReadonlyMap<string, Export>
): Generator<Export> {
  for (const statement of program.body) {
    if (statement.type !== "ExportNamedDeclaration") continue
    if (statement.declaration !== null) {
      yield* declared(statement.declaration, docAt(docs, statement.start))
    }
    for (const specifier of statement.specifiers) {
      const name = nameOf(specifier.exported)
      const known = locals.get(nameOf(specifier.local))
      const own = docAt(docs, specifier.start)
      const doc = own === noDoc && known !== undefined ? known.doc : own
      yield { name, kind: known?.kind ?? "export", doc, declarations: known?.declarations ?? [], docs: [doc] }
    }
  }
}

function* declared(node: Node, doc: Doc): Generator<Export> {
  const one = (name: string, kind: string): Export => ({ name, kind, doc, declarations: [node], docs: [doc] })
  switch (node.type) {
    case "VariableDeclaration":
      for (const { id } of node.declarations) if (id.type === "Identifier") yield one(id.name, node.kind)
      return
    case "FunctionDeclaration":
    case "TSDeclareFunction":
      if (node.id !== null) yield one(node.id.name, "function")
      return
    case "ClassDeclaration":
      if (node.id !== null) yield one(node.id.name, "class")
      return
    case "TSInterfaceDeclaration":
      return yield one(node.id.name, "interface")
    case "TSTypeAliasDeclaration":
      return yield one(node.id.name, "type")
    case "TSModuleDeclaration":
      if (node.id.type === "Identifier") yield one(node.id.name, "namespace")
  }
}

const join = (a: Export, b: Export): Export => ({
  name: a.name,
  kind: [...new Set([...a.kind.split(", "), ...b.kind.split(", ")])].join(", "),
  doc: a.doc.text === "" ? b.doc : a.doc,
  declarations: [...a.declarations, ...b.declarations],
  docs: [...a.docs, ...b.docs]
})

const nameOf = (node: { readonly type: string; readonly name?: string; readonly value?: unknown }): string =>
  node.name ?? String(node.value)

const noDoc: Doc = { text: "", tags: new Map() }

export const isJsDoc = (comment: Comment): boolean => comment.type === "Block" && comment.value.startsWith("*")

const toDoc = (comment: Comment): Doc => {
  if (!isJsDoc(comment)) return noDoc
  const lines = comment.value
    .slice(1)
    .replace(/\s@(?=(category|default|internal|see|since)\b)/g, "\n@")
    .split("\n")
    .map((line) => line.replace(/^\s*\*(?: |$)/, "").trimEnd())
  const firstTag = lines.findIndex((line) => line.startsWith("@"))
  const tags = new Map<string, string>()
  for (const line of firstTag < 0 ? [] : lines.slice(firstTag)) {
    const tag = /^@(\w+)\s*(.*)$/.exec(line)
    if (tag !== null) tags.set(tag[1]!, tag[2]!)
  }
  return { text: (firstTag < 0 ? lines : lines.slice(0, firstTag)).join("\n").trim(), tags }
}
