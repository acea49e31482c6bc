/**
 * Lint rules of this repository. Where a hot path breaks one, it says why:
 * `// oxlint-disable-next-line socketserver/no-try -- reason, and the benchmark that shows it`
 */
interface Context {
  readonly filename: string
  report(diagnostic: { readonly message: string; readonly node: unknown }): void
}

interface Call {
  readonly callee: { readonly type: string; readonly name?: string }
  readonly arguments: ReadonlyArray<{ readonly type: string }>
}

export default {
  meta: { name: "socketserver" },
  rules: {
    "no-try": {
      create: (context: Context) => ({
        TryStatement: (node: unknown) =>
          context.report({ message: "A failure is a value: use `Effect.try`, `Effect.ensuring` or a `Result`.", node })
      })
    },
    "no-timer": {
      create: (context: Context) => ({
        CallExpression: (node: Call) => {
          const [, millis] = node.arguments
          if (node.callee.name !== "setTimeout" || context.filename.endsWith("/later.ts")) return
          if (millis?.type === "Literal" || millis?.type === "Identifier") return
          const message = "A time that is an option may be too long for a timer, which then ends at once: use `later`."
          context.report({ message, node })
        }
      })
    }
  }
}
