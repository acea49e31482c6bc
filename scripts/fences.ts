/**
 * Finds the code fences of the documentation and turns each `ts` fence into a module under `.fences/`.
 *
 * A module keeps the line numbers of its document, so line 40 of `.fences/README.md/L38.ts` is line 40 of `README.md`.
 *
 * Marks: `ts` is type-checked and run, `ts no-run` is type-checked, `sh run` is executed; every other fence is text.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { type Node, parseSync, Visitor } from "oxc-parser"
import { isJsDoc, parse } from "./sources.ts"

export interface Fence {
  readonly document: string
  /** The line of the opening fence. */
  readonly line: number
  readonly kind: "ts" | "sh"
  readonly run: boolean
  readonly code: string
}

const documents = ["*.md", "docs/**/*.md", "packages/*/README.md", "packages/*/src/**/*.ts"]
const generated = ["CHANGELOG.md", "docs/reference/**"]

export const findFences = (): ReadonlyArray<Fence> =>
  globSync(documents, { exclude: generated })
    .sort()
    .flatMap((document) => {
      const text = readFileSync(document, "utf8")
      return fencesIn(document, document.endsWith(".ts") ? onlyJsDoc(document, text) : text)
    })

/** Where the module of a fence stands. */
export const moduleOf = (fence: Fence): string => `.fences/${fence.document}/L${fence.line}.ts`

/** Below `folder`, which has `scripts/equal.ts`. */
export const writeModules = (fences: ReadonlyArray<Fence>, folder = "."): void => {
  rmSync(join(folder, ".fences"), { recursive: true, force: true })
  for (const fence of fences) {
    if (fence.kind !== "ts") continue
    const file = join(folder, moduleOf(fence))
    const helper = relative(dirname(file), join(folder, "scripts/equal.ts"))
    mkdirSync(dirname(file), { recursive: true })
    const lead = `import { equal as $equal } from "${helper}"${"\n".repeat(fence.line)}`
    writeFileSync(file, lead + withAssertions(fence) + "\nvoid $equal\n")
  }
}

const fencesIn = (document: string, text: string): ReadonlyArray<Fence> => {
  const fences: Array<Fence> = []
  let open: { line: number; indent: number; ticks: string; info: string; code: Array<string> } | undefined
  for (const [index, line] of text.split("\n").entries()) {
    if (open === undefined) {
      const start = /^(\s*)(```+)(.*)$/.exec(line)
      if (start === null) continue
      open = { line: index + 1, indent: start[1]!.length, ticks: start[2]!, info: start[3]!.trim(), code: [] }
    } else if (line.trim() === open.ticks) {
      const mark = marks.get(open.info)
      if (mark !== undefined) fences.push({ document, line: open.line, ...mark, code: open.code.join("\n") })
      else if (/^(ts|sh run)\b/.test(open.info)) throw new Error(`${document}:${open.line}: no such mark: ${open.info}`)
      open = undefined
    } else {
      open.code.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)))
    }
  }
  if (open !== undefined) throw new Error(`${document}:${open.line}: this fence is not closed`)
  return fences
}

const marks = new Map<string, Pick<Fence, "kind" | "run">>([
  ["ts", { kind: "ts", run: true }],
  ["ts no-run", { kind: "ts", run: false }],
  ["sh run", { kind: "sh", run: true }]
])

/** The text of a source's JSDoc comments on their lines, all other lines empty. */
const onlyJsDoc = (file: string, source: string): string => {
  const lines = source.split("\n").map(() => "")
  for (const comment of parse(file, source).comments) {
    if (!isJsDoc(comment)) continue
    const first = source.slice(0, comment.start).split("\n").length - 1
    for (const [index, line] of comment.value.slice(1).split("\n").entries()) {
      lines[first + index] = line.replace(/^\s*\* ?/, "")
    }
  }
  return lines.join("\n")
}

/** `expr // => value` and `const name = expr // => value` become assertions; the comment may stand on the next line. */
const withAssertions = (fence: Fence): string => {
  const { comments, program, errors } = parseSync("fence.ts", fence.code)
  if (errors.length > 0) return fence.code // tsc says what is wrong
  const statements: Array<Subject> = []
  new Visitor({
    ExpressionStatement: (node) => void statements.push(node),
    VariableDeclaration: (node) => void statements.push(node)
  }).visit(program)
  const edits: Array<{ readonly start: number; readonly end: number; readonly text: string }> = []
  for (const comment of comments) {
    const value = /^\s*=>(.*)$/s.exec(comment.value)?.[1]?.trim()
    if (value === undefined) continue
    const at = `${fence.document}:${fence.line + fence.code.slice(0, comment.start).split("\n").length}`
    const gap = (end: number) => fence.code.slice(end, comment.start)
    const statement = statements.find(({ end }) => end <= comment.start && gap(end).trim() === "")
    const subject = statement && subjectOf(statement)
    if (subject === undefined) throw new Error(`${at}: \`// =>\` needs an expression or \`const name =\` before it`)
    const expected = `, (${value}), ${JSON.stringify(at)});${gap(statement!.end)}`
    if (statement!.type === "VariableDeclaration") {
      const name = fence.code.slice(subject.start, subject.end)
      edits.push({ start: statement!.end, end: comment.end, text: `; $equal(${name}${expected}` })
    } else {
      edits.push({ start: subject.end, end: comment.end, text: expected })
      edits.push({ start: statement!.start, end: subject.start, text: "$equal(" })
    }
  }
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce((code, { start, end, text }) => code.slice(0, start) + text + code.slice(end), fence.code)
}

type Subject = Node & { type: "ExpressionStatement" | "VariableDeclaration" }

/** What is compared: the name, the expression, or what `console.log` would show. */
const subjectOf = (statement: Subject): Node | undefined => {
  if (statement.type === "VariableDeclaration") {
    const [only, ...others] = statement.declarations
    return others.length === 0 && only?.id.type === "Identifier" ? only.id : undefined
  }
  const { expression } = statement
  const logs =
    expression.type === "CallExpression" && expression.arguments.length === 1 && isConsoleLog(expression.callee)
  return logs ? expression.arguments[0] : expression
}

const isConsoleLog = (node: Node): boolean =>
  node.type === "MemberExpression" &&
  node.object.type === "Identifier" &&
  node.object.name === "console" &&
  node.property.type === "Identifier" &&
  node.property.name === "log"
