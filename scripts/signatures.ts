/**
 * The signatures of declarations: the text of the source without bodies and comments.
 */
import type { ArrowFunctionExpression, Class, Expression, ParamPattern, TSType, VariableDeclarator } from "oxc-parser"
import type { Module, Node } from "./sources.ts"
import { type Edit, sourceOf } from "./types.ts"

/** One text for each overload; none for what only implements overloads. */
export const signaturesOf = (module: Module, name: string, node: Node): ReadonlyArray<string> => {
  switch (node.type) {
    case "VariableDeclaration":
      return node.declarations
        .filter(({ id }) => id.type === "Identifier" && id.name === name)
        .flatMap((declarator) => ofVariable(module, name, declarator))
    case "TSDeclareFunction":
      return [sourceOf(module, node.start, node.end)]
    case "FunctionDeclaration":
      return [sourceOf(module, node.start, node.body?.start ?? node.end, defaults(module, node.params))]
    case "TSInterfaceDeclaration": {
      const isHidden = node.extends.every(({ expression }) =>
        module.locals.has(module.source.slice(expression.start, expression.end))
      )
      const head = node.typeParameters?.end ?? node.id.end
      return [sourceOf(module, node.start, isHidden ? head : node.body.start)]
    }
    case "TSTypeAliasDeclaration":
      return [sourceOf(module, node.start, node.end)]
    case "ClassDeclaration":
      return [ofClass(module, node)]
    default:
      return []
  }
}

const ofVariable = (module: Module, name: string, { id, init }: VariableDeclarator): ReadonlyArray<string> => {
  const type = id.typeAnnotation?.typeAnnotation
  if (type !== undefined && type !== null) return ofTyped(module, name, type)
  if (init?.type === "ArrowFunctionExpression") return [`function ${name}${ofArrow(module, init, ": ")}`]
  return init?.type === "Literal" ? [`const ${name} = ${sourceOf(module, init.start, init.end)}`] : []
}

const ofTyped = (module: Module, name: string, type: TSType): ReadonlyArray<string> => {
  if (type.type === "TSTypeLiteral" && type.members.every((member) => member.type === "TSCallSignatureDeclaration")) {
    return type.members.map((member) => `function ${name}${sourceOf(module, member.start, member.end)}`)
  }
  if (type.type === "TSFunctionType") {
    const result = type.returnType.typeAnnotation
    const parameters = sourceOf(module, type.start, type.returnType.start)
    return [`function ${name}${parameters.replace(/\s*=>$/, "")}: ${sourceOf(module, result.start, result.end)}`]
  }
  return [`const ${name}: ${sourceOf(module, type.start, type.end)}`]
}

/** `<A>(a: A): B`, and what it returns if it says so in a function of its own. */
const ofArrow = (module: Module, node: ArrowFunctionExpression, result: string): string => {
  const edits = defaults(module, node.params)
  const returned = node.returnType?.typeAnnotation
  if (returned !== undefined && returned !== null) {
    const parameters = sourceOf(module, node.start, node.returnType!.start, edits)
    return `${parameters}${result}${sourceOf(module, returned.start, returned.end)}`
  }
  const parameters = sourceOf(module, node.start, node.body.start, edits).replace(/\s*=>$/, "")
  const body: Expression | { readonly type: string } = node.body
  return body.type === "ArrowFunctionExpression"
    ? `${parameters}${result}${ofArrow(module, body as ArrowFunctionExpression, " => ")}`
    : parameters
}

/** `options: Options = {}` is `options?: Options` to a caller. */
const defaults = (module: Module, parameters: ReadonlyArray<ParamPattern>): ReadonlyArray<Edit> =>
  parameters.flatMap((parameter) => {
    if (parameter.type !== "AssignmentPattern") return []
    const { left } = parameter
    const annotation = left.typeAnnotation
    const nameEnd = annotation?.start ?? left.end
    const name = left.type === "Identifier" ? left.name : "options"
    return [
      { start: left.start, end: nameEnd, text: `${name}?` },
      { start: annotation?.end ?? left.end, end: parameter.end, text: "" }
    ]
  })

/** The line of the class, without the fields that stand in its type argument, and how it is constructed. */
const ofClass = (module: Module, node: Class): string => {
  const head = sourceOf(module, node.start, node.superTypeArguments?.start ?? node.body.start)
  const constructors = node.body.body.flatMap((member) =>
    member.type === "MethodDefinition" && member.kind === "constructor"
      ? sourceOf(
          module,
          member.start,
          member.value.body?.start ?? member.end,
          defaults(module, member.value.params as never)
        )
      : []
  )
  return constructors.length === 0 ? head : [`${head} {`, ...constructors.map(indented), "}"].join("\n")
}

const indented = (text: string): string => text.replace(/^/gm, "  ")
