/**
 * Lint rules of this repository. Where a hot path breaks one, it says why:
 * `// oxlint-disable-next-line socketserver/no-try -- reason, and the benchmark that shows it`
 */
interface Context {
  report(diagnostic: { readonly message: string; readonly node: unknown }): void
}

export default {
  meta: { name: "socketserver" },
  rules: {
    "no-try": {
      create: (context: Context) => ({
        TryStatement: (node: unknown) =>
          context.report({ message: "A failure is a value: use `Effect.try`, `Effect.ensuring` or a `Result`.", node })
      })
    }
  }
}
