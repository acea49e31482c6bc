import * as SchemaAST from "effect/SchemaAST"
import type * as Schema from "effect/Schema"
import * as json from "./json.ts"

/** Whether all of a value arrives when it is written as JSON. */
type Look = (value: unknown) => boolean

/**
 * Writes what a schema encodes to as JSON, and looks only at what the schema does not vouch for: a number may be `NaN`.
 *
 * A parser makes objects and arrays of its own, with what the schema names and nothing else, so that no prototype,
 * `toJSON` or cycle gets through it.
 */
export const formatOf = (schema: Schema.Top): typeof json.format => {
  const look = lookAt(SchemaAST.flip(schema.ast))
  return look === undefined ? json.formatWhole : (value) => json.format(value, look)
}

/** How a value is looked at; not at all where nothing of it can be lost. */
const lookAt = (ast: SchemaAST.AST): Look | undefined => {
  switch (ast._tag) {
    case "Null":
    case "String":
    case "Boolean":
    case "TemplateLiteral":
      return undefined
    case "Number":
      return ast.checks?.some(isFinite) === true ? undefined : Number.isFinite
    case "Literal":
      return typeof ast.literal === "bigint" ? json.isWhole : undefined
    case "Union":
      return ast.types.every(isVouchedFor) ? undefined : json.isWhole
    case "Arrays":
      return atElements(ast)
    case "Objects":
      return atProperties(ast)
    default:
      return json.isWhole
  }
}

const isVouchedFor = (ast: SchemaAST.AST): boolean => lookAt(ast) === undefined

const atElements = ({ elements, rest }: SchemaAST.Arrays): Look | undefined => {
  const all = [...elements, ...rest]
  if (all.every(isVouchedFor)) return undefined
  const look = all.length === 1 && rest.length === 1 ? lookAt(all[0] as SchemaAST.AST) : undefined
  if (look === undefined) return json.isWhole
  return (value) => {
    const array = value as ReadonlyArray<unknown>
    for (let i = 0; i < array.length; i++) if (!look(array[i])) return false
    return true
  }
}

const atProperties = ({ indexSignatures, propertySignatures }: SchemaAST.Objects): Look | undefined => {
  // Without any, everything but nothing is let through.
  if (propertySignatures.length + indexSignatures.length === 0) return json.isWhole
  if (!indexSignatures.every(({ parameter, type }) => parameter._tag === "String" && atProperty(type) === undefined)) {
    return json.isWhole
  }
  const looks: Array<readonly [string, Look]> = []
  for (const { name, type } of propertySignatures) {
    if (typeof name !== "string") return json.isWhole
    const look = atProperty(type)
    if (look !== undefined) looks.push([name, look])
  }
  if (looks.length === 0) return undefined
  return (value) => {
    for (let i = 0; i < looks.length; i++) {
      const [name, look] = looks[i] as readonly [string, Look]
      const property = (value as Record<string, unknown>)[name]
      if (property !== undefined && !look(property)) return false
    }
    return true
  }
}

/** A property without a value is the same as none. */
const atProperty = (ast: SchemaAST.AST): Look | undefined => {
  if (ast._tag === "Undefined") return undefined
  if (ast._tag !== "Union") return lookAt(ast)
  const types = ast.types.filter(({ _tag }) => _tag !== "Undefined")
  if (types.length === 1) return atProperty(types[0] as SchemaAST.AST)
  return types.every((type) => atProperty(type) === undefined) ? undefined : json.isWhole
}

const isFinite = (check: SchemaAST.Check<never>): boolean => {
  const id: unknown = (check.annotations?.["representation"] as { readonly id?: unknown } | undefined)?.id
  return (
    id === "effect/schema/isFinite" ||
    id === "effect/schema/isInt" ||
    (check._tag === "FilterGroup" && check.checks.some(isFinite))
  )
}
