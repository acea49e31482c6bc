import { createHash } from "node:crypto"

interface Mutant {
  readonly id: string
  readonly fileName: string
  readonly location: { readonly start: Position; readonly end: Position }
  readonly mutatorName: string
  readonly replacement: string
}
interface Position {
  readonly line: number
  readonly column: number
}

/**
 * A checker for Stryker that lets a share of the mutants pass, `MUTANTS=2/20` two in twenty: the same ones as long as the
 * code is the same, for they are numbered by a hash of file, place and replacement. The others are reported as errors of
 * the compiler, which no score counts.
 */
const checker = () => {
  const [some = NaN, of = NaN] = (process.env["MUTANTS"] ?? "").split("/").map(Number)
  if (!(some > 0 && some <= of)) throw new Error("MUTANTS must be a share, such as 2/20")
  return {
    init: async () => {},
    group: async (mutants: ReadonlyArray<Mutant>) => [mutants.map(({ id }) => id)],
    check: async (mutants: ReadonlyArray<Mutant>) =>
      Object.fromEntries(
        mutants.map((mutant) => [
          mutant.id,
          numberOf(mutant) % of < some ? { status: "passed" } : { status: "compileError", reason: "not in the sample" }
        ])
      )
  }
}

function numberOf({ fileName, location: { start, end }, mutatorName, replacement }: Mutant): number {
  const file = fileName.replaceAll("\\", "/").replace(/^.*\/(?=packages\/)/, "")
  const place = `${start.line}:${start.column}-${end.line}:${end.column}`
  return createHash("sha256").update(`${file}:${place}:${mutatorName}:${replacement}`).digest().readUInt32BE(0)
}

export const strykerPlugins = [
  { kind: "Checker", name: "sample", factory: Object.assign(checker, { inject: [] as const }) }
]
