/**
 * The fields of interfaces, tagged errors and tagged unions, as they are written in the source.
 */
import type { CallExpression, Expression, ObjectExpression, TSSignature, TSType } from "oxc-parser"
import { type Doc, docAt, type Export, type Module, type Node } from "./sources.ts"
import { oneLine, sourceOf } from "./types.ts"

export interface Field {
  readonly name: string
  readonly type: string
  readonly optional: boolean
  readonly doc: Doc
}

export interface Tagged {
  readonly tag: string
  readonly doc: Doc
  readonly fields: ReadonlyArray<Field>
}

/** The fields of an interface or of a type alias with a literal body. */
export const fieldsOf = (module: Module, it: Export): ReadonlyArray<Field> =>
  it.declarations.flatMap((node) => membersOf(module, node))

/** The fields of one declaration; an interface has those of a parent that is not exported, too. */
export const membersOf = (module: Module, node: Node): ReadonlyArray<Field> => {
  switch (node.type) {
    case "TSInterfaceDeclaration":
      return [
        ...signatures(module, node.body.body),
        ...node.extends.flatMap((parent) => {
          const local = module.locals.get(text(module, parent.expression))
          return local === undefined ? [] : fieldsOf(module, local)
        })
      ]
    case "TSTypeAliasDeclaration":
      return fieldsOfType(module, node.typeAnnotation)
    case "ClassDeclaration":
      return node.body.body.flatMap((member) =>
        member.type === "PropertyDefinition" && !member.computed && !member.static
          ? field(module, member, member.typeAnnotation?.typeAnnotation)
          : []
      )
    default:
      return []
  }
}

/** What an interface extends, as far as a user can see it. */
export const parentsOf = (module: Module, it: Export): ReadonlyArray<string> =>
  it.declarations.flatMap((node) =>
    node.type === "TSInterfaceDeclaration"
      ? node.extends.map((parent) => text(module, parent.expression)).filter((name) => !module.locals.has(name))
      : []
  )

/** `class X extends Data.TaggedError("X")<{ … }>` or `class X extends Schema.TaggedError<X>()("X", { … })`. */
export const taggedError = (module: Module, it: Export): Tagged | undefined =>
  taggedClass(module, it, /\.Tagged(Error|ErrorClass)\b/)

/** The members of an exported union, whichever way each is declared. */
export const membersOfUnion = (module: Module, name: string): ReadonlyArray<Tagged> => {
  const union = module.exports.find((it) => it.name === name)
  return (union?.declarations ?? []).flatMap((node) =>
    node.type === "TSTypeAliasDeclaration" ? membersOfType(module, node.typeAnnotation) : []
  )
}

const membersOfType = (module: Module, type: TSType): ReadonlyArray<Tagged> => {
  switch (type.type) {
    case "TSUnionType":
      return type.types.flatMap((member) => membersOfType(module, member))
    case "TSTypeLiteral":
      return [tagged(signatures(module, type.members), docAt(module, type.start))]
    case "TSTypeReference": {
      const [argument] = type.typeArguments?.params ?? []
      if (text(module, type.typeName) === "Data.TaggedEnum" && argument?.type === "TSTypeLiteral") {
        return argument.members.flatMap((member) =>
          member.type === "TSPropertySignature" && member.typeAnnotation
            ? [
                {
                  tag: text(module, member.key),
                  doc: docAt(module, member.start),
                  fields: fieldsOfType(module, member.typeAnnotation.typeAnnotation)
                }
              ]
            : []
        )
      }
      const named = module.exports.find((it) => it.name === text(module, type.typeName))
      if (named === undefined) return []
      const declared = taggedClass(module, named, /\.Tagged\w+\b/)
      if (declared !== undefined) return [declared]
      const fields = fieldsOf(module, named)
      return fields.length > 0
        ? [tagged(fields, named.doc)]
        : named.declarations.flatMap((node) =>
            node.type === "TSTypeAliasDeclaration" ? membersOfType(module, node.typeAnnotation) : []
          )
    }
    default:
      return []
  }
}

const tagged = (fields: ReadonlyArray<Field>, doc: Doc): Tagged => ({
  tag: fields.find((field) => field.name === "_tag")?.type.replaceAll('"', "") ?? "",
  doc,
  fields: fields.filter((field) => field.name !== "_tag")
})

const taggedClass = (module: Module, it: Export, base: RegExp): Tagged | undefined => {
  const node = it.declarations.find((node) => node.type === "ClassDeclaration")
  if (node?.type !== "ClassDeclaration" || node.superClass?.type !== "CallExpression") return undefined
  const call = node.superClass
  if (!base.test(text(module, innermost(call)))) return undefined
  const [first, second] = call.arguments
  const [type] = node.superTypeArguments?.params ?? []
  return {
    tag: first?.type === "Literal" ? String(first.value) : it.name,
    doc: it.doc,
    fields:
      type !== undefined
        ? fieldsOfType(module, type)
        : second?.type === "ObjectExpression"
          ? properties(module, second)
          : []
  }
}

/** `Schema.TaggedError` of `Schema.TaggedError<X>()("X", { … })`. */
const innermost = (call: CallExpression): Expression =>
  call.callee.type === "CallExpression" ? innermost(call.callee) : call.callee

const fieldsOfType = (module: Module, type: TSType): ReadonlyArray<Field> =>
  type.type === "TSTypeLiteral" ? signatures(module, type.members) : []

const signatures = (module: Module, members: ReadonlyArray<TSSignature>): ReadonlyArray<Field> =>
  members.flatMap((member) => {
    switch (member.type) {
      case "TSPropertySignature":
        // A computed key is a brand: nobody writes it.
        return member.computed ? [] : field(module, member, member.typeAnnotation?.typeAnnotation)
      case "TSMethodSignature": {
        const result = member.returnType?.typeAnnotation
        const parameters = oneLine(sourceOf(module, member.key.end, member.returnType?.start ?? member.end))
        const returned = result ? oneLine(sourceOf(module, result.start, result.end)) : "unknown"
        const type = `${parameters.replace(/^\?/, "")} => ${returned}`
        return { name: text(module, member.key), type, optional: member.optional, doc: docAt(module, member.start) }
      }
      case "TSCallSignatureDeclaration":
      case "TSConstructSignatureDeclaration": {
        const type = oneLine(sourceOf(module, member.start, member.end))
        return { name: "", type, optional: false, doc: docAt(module, member.start) }
      }
      default:
        return []
    }
  })

const field = (
  module: Module,
  member: { readonly key: Range; readonly start: number; readonly optional?: boolean },
  type: TSType | undefined
): Field => {
  const optional = member.optional === true
  const shown = type !== undefined && optional ? withoutUndefined(type) : type
  return {
    name: text(module, member.key),
    type: shown === undefined ? "unknown" : oneLine(sourceOf(module, shown.start, shown.end)),
    optional,
    doc: docAt(module, member.start)
  }
}

/** `T` of the `T | undefined` that an optional field says. */
const withoutUndefined = (type: TSType): Range => {
  if (type.type !== "TSUnionType" || type.types.at(-1)?.type !== "TSUndefinedKeyword") return type
  const others = type.types.slice(0, -1)
  const [only] = others
  if (others.length === 1 && only?.type === "TSParenthesizedType") return only.typeAnnotation
  return { start: others[0]!.start, end: others.at(-1)!.end }
}

/** The fields of a schema: the type column shows the schema. */
const properties = (module: Module, object: ObjectExpression): ReadonlyArray<Field> =>
  object.properties.flatMap((property) =>
    property.type === "Property"
      ? {
          name: text(module, property.key),
          type: oneLine(sourceOf(module, property.value.start, property.value.end)),
          optional: false,
          doc: docAt(module, property.start)
        }
      : []
  )

interface Range {
  readonly start: number
  readonly end: number
}

const text = (module: Module, node: Range): string => module.source.slice(node.start, node.end)
