/**
 * The fields of interfaces, tagged errors and tagged unions, as they are written in the source.
 */
import type { TSSignature, TSType } from "oxc-parser"
import { type Declared, docAt, type Module, moduleAt } from "./sources.ts"

export interface Field {
  readonly name: string
  readonly type: string
  readonly optional: boolean
  readonly doc: string
}

export interface Tagged {
  readonly tag: string
  readonly doc: string
  readonly fields: ReadonlyArray<Field>
}

/** Whether it has a section among the options. */
export const isOptions = (module: Module, { exported, name, node }: Declared): boolean =>
  exported && !module.file.includes("/internal/") && name.endsWith("Options") && node.type === "TSInterfaceDeclaration"

/** The fields of an interface, those of parents without a section included. */
export const fieldsOf = (module: Module, { node }: Declared): ReadonlyArray<Field> =>
  node.type !== "TSInterfaceDeclaration"
    ? []
    : [
        ...members(module, node.body.body),
        ...parents(module, node).flatMap((parent) => (isOptions(...parent) ? [] : fieldsOf(...parent)))
      ]

/** The options that an interface extends: `Transport.ServerOptions`. */
export const optionsParents = (module: Module, { node }: Declared): ReadonlyArray<string> =>
  parents(module, node)
    .filter((parent) => isOptions(...parent))
    .map(([{ name }, parent]) => `${name}.${parent.name}`)

/** `class X extends Data.TaggedError("X")<{ … }>` */
export const taggedError = (module: Module, { doc, node }: Declared): Tagged | undefined => {
  if (node.type !== "ClassDeclaration" || node.superClass == null) return undefined
  const tag = /^Data\.TaggedError\("(\w+)"\)$/.exec(text(module, node.superClass))?.[1]
  const [fields] = node.superTypeArguments?.params ?? []
  if (tag === undefined) return undefined
  return { tag, doc, fields: fields?.type === "TSTypeLiteral" ? members(module, fields.members) : [] }
}

/** The members of a union, whichever way each is declared. */
export const membersOfUnion = (module: Module, name: string): ReadonlyArray<Tagged> => {
  const found = lookUp(module, name)
  if (found === undefined) return []
  const [owner, it] = found
  if (it.node.type === "TSTypeAliasDeclaration") {
    const type = it.node.typeAnnotation
    return (type.type === "TSUnionType" ? type.types : [type]).flatMap((one) => membersOfUnion(owner, text(owner, one)))
  }
  const fields = fieldsOf(owner, it)
  const tag = fields.find((field) => field.name === "_tag")
  const error = taggedError(owner, it)
  if (tag === undefined) return error === undefined ? [] : [error]
  return [{ tag: tag.type.replaceAll('"', ""), doc: it.doc, fields: fields.filter((field) => field !== tag) }]
}

type Found = readonly [Module, Declared]

/** What a name means in a module: a type of its own, one that it imports, or `Module.Name`. */
const lookUp = (module: Module, name: string): Found | undefined => {
  const own = module.declared.find((it) => it.name === name)
  if (own !== undefined) return [module, own]
  const [first, second] = name.split(".")
  const file = module.imports.get(first!)
  if (file !== undefined) return lookUp(moduleAt(file), second ?? first!)
  return second === undefined
    ? module.parts.map((part) => lookUp(part, name)).find((found) => found !== undefined)
    : undefined
}

const parents = (module: Module, node: Declared["node"]): ReadonlyArray<Found> =>
  node.type !== "TSInterfaceDeclaration"
    ? []
    : node.extends.flatMap(({ expression, typeArguments }) => {
        // Of an interface without some of its members it has the others.
        const [first] = text(module, expression) === "Omit" ? (typeArguments?.params ?? []) : []
        const found = lookUp(module, text(module, first ?? expression))
        return found === undefined ? [] : [found]
      })

const members = (module: Module, signatures: ReadonlyArray<TSSignature>): ReadonlyArray<Field> =>
  signatures.flatMap((member) => {
    const type = member.type === "TSPropertySignature" && member.typeAnnotation?.typeAnnotation
    if (!type) return []
    const shown = member.optional ? withoutUndefined(type) : type
    return {
      name: text(module, member.key),
      type: oneLine(text(module, shown)),
      optional: member.optional,
      doc: docAt(module, member.start)
    }
  })

/** `T` of the `T | undefined` that an optional field says. */
const withoutUndefined = (type: TSType): Range => {
  if (type.type !== "TSUnionType" || type.types.at(-1)?.type !== "TSUndefinedKeyword") return type
  const others = type.types.slice(0, -1)
  const [only] = others
  if (others.length === 1 && only?.type === "TSParenthesizedType") return only.typeAnnotation
  return { start: others[0]!.start, end: others.at(-1)!.end }
}

/** For the cell of a table. */
const oneLine = (type: string): string =>
  type
    .replace(/^\s*\|/, "")
    .trim()
    .replace(/\s+/g, " ")
    .replace(/([(<]) /g, "$1")
    .replace(/ ([)>])/g, "$1")

interface Range {
  readonly start: number
  readonly end: number
}

const text = (module: Module, { end, start }: Range): string => module.source.slice(start, end)
