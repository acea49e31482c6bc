/**
 * Lint rules of this repository. Where a hot path breaks one, it says why:
 * `// oxlint-disable-next-line socketserver/no-try -- reason, and the benchmark that shows it`
 */
interface Context {
  report(diagnostic: { readonly message: string; readonly node: unknown }): void
}

interface ImportLike {
  readonly source: { readonly value: string } | null
}

const onImports = (forbidden: RegExp, message: string) => ({
  create(context: Context) {
    const check = (node: ImportLike) => {
      if (node.source !== null && forbidden.test(node.source.value)) context.report({ message, node })
    }
    return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check }
  }
})

export default {
  meta: { name: "socketserver" },
  rules: {
    "no-barrel-import": onImports(
      /^effect(\/[a-z-]+)?$|^@(effect|socketserver)\/(?!vitest)[a-z-]+$/,
      "A barrel costs up to half a second at start: name the module, as in `effect/Effect`."
    ),
    "no-node": onImports(/^node:/, "core runs anywhere: what needs Node belongs into the package `node`."),
    "no-try": {
      create: (context: Context) => ({
        TryStatement: (node: unknown) =>
          context.report({ message: "A failure is a value: use `Effect.try`, `Effect.ensuring` or a `Result`.", node })
      })
    }
  }
}
