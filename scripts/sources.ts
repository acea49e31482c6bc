/**
 * The packages' sources as data: modules, the types they declare, and the JSDoc on them.
 *
 * Reads syntax only. What a type means is the compiler's business.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import {
  type Class,
  type Comment,
  parseSync,
  type Program,
  type TSInterfaceDeclaration,
  type TSTypeAliasDeclaration
} from "oxc-parser"

/** An interface, a type or a class. */
export interface Declared {
  readonly name: string
  readonly exported: boolean
  readonly doc: string
  readonly node: Class | TSInterfaceDeclaration | TSTypeAliasDeclaration
}

export interface Module {
  /** `@socketserver/core` */
  readonly package: string
  /** `Server` */
  readonly name: string
  readonly file: string
  readonly source: string
  readonly comments: ReadonlyArray<Comment>
  /** What stands above its imports. */
  readonly header: string
  readonly declared: ReadonlyArray<Declared>
  /** The file of each module of ours that it imports, by the name it has here. */
  readonly imports: ReadonlyMap<string, string>
  /** The files of which all is exported here as well; they have its name. */
  readonly parts: ReadonlyArray<Module>
}

/** The published packages; `bench` is private. */
export const packages = ["core", "node", "testkit", "protocols", "effect"] as const

export const modulesOf = (name: string): ReadonlyArray<Module> => {
  const folder = `packages/${name}/src`
  return readdirSync(folder)
    .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
    .sort()
    .map((file) => moduleAt(`${folder}/${file}`))
}

export const moduleAt = (file: string, name = file.replace(/.*\/(\w+)\.ts$/, "$1")): Module => {
  const source = readFileSync(file, "utf8")
  const { comments, program } = parse(file, source)
  const first = comments[0]
  return {
    package: file.replace(/^packages\/(\w+)\/.*/, "@socketserver/$1"),
    name,
    file,
    source,
    comments,
    header: first !== undefined && isJsDoc(first) && first.start < (program.body[0]?.start ?? 0) ? textOf(first) : "",
    declared: program.body.flatMap((statement) => {
      const exported = statement.type === "ExportNamedDeclaration"
      const node = exported ? statement.declaration : statement
      const isType =
        node?.type === "ClassDeclaration" ||
        node?.type === "TSInterfaceDeclaration" ||
        node?.type === "TSTypeAliasDeclaration"
      return isType && node.id !== null
        ? [{ name: node.id.name, exported, doc: docAt({ comments, source }, statement.start), node }]
        : []
    }),
    imports: importsOf(file, program),
    parts: program.body.flatMap((statement) =>
      statement.type === "ExportAllDeclaration" && statement.exported === null
        ? [moduleAt(join(file, "..", statement.source.value), name)]
        : []
    )
  }
}

export const parse = (file: string, source: string) => {
  const { comments, errors, program } = parseSync(file, source)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]!.codeframe ?? errors[0]!.message}`)
  return { comments, program }
}

export const isJsDoc = (comment: Comment): boolean => comment.type === "Block" && comment.value.startsWith("*")

/** The JSDoc comment that stands directly above `position`, without a blank line between. */
export const docAt = (module: Pick<Module, "comments" | "source">, position: number): string => {
  const comment = module.comments.findLast(
    (comment) => comment.end <= position && /^[^\S\n]*\n?[^\S\n]*$/.test(module.source.slice(comment.end, position))
  )
  return comment === undefined || !isJsDoc(comment) ? "" : textOf(comment)
}

export const firstSentence = (doc: string): string => {
  const [paragraph = ""] = doc.split(/\n\s*\n/)
  return (/^.*?(?<!\b(?:e\.g|i\.e|vs))[.!?](?=\s|$)/s.exec(paragraph)?.[0] ?? paragraph).replace(/\s+/g, " ")
}

/** Everything before the first tag. */
const textOf = (comment: Comment): string =>
  comment.value
    .slice(1)
    .replace(/^\s*\* ?/gm, "")
    .split(/^@\w+/m)[0]!
    .trim()

const importsOf = (file: string, program: Program): ReadonlyMap<string, string> =>
  new Map(
    program.body.flatMap((statement) => {
      if (statement.type !== "ImportDeclaration") return []
      const from = statement.source.value
      const ours = /^@socketserver\/(\w+)\/(\w+)$/.exec(from)
      if (ours === null && !from.startsWith(".")) return []
      const target = ours === null ? join(file, "..", from) : `packages/${ours[1]}/src/${ours[2]}.ts`
      return statement.specifiers.map(({ local }) => [local.name, target] as const)
    })
  )
