/**
 * Random and changed inputs for every decoder of `packages/protocols/fuzz` and `packages/effect/fuzz`: `pnpm fuzz [--inputs N] [--seed N] [--only NAME]`.
 *
 * `--inputs` is for each decoder; 20,000 unless told. What fails is printed with its seed, which finds it again: `--seed S --inputs 1`.
 */
import { readdirSync } from "node:fs"
import { parseArgs } from "node:util"
import { Random } from "../packages/core/src/internal/random.ts"
import type { Target } from "../packages/protocols/fuzz/target.ts"

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" }
  }
})
const inputs = Number(values.inputs)
const first = Number(values.seed)

/** No input may take longer: what is quadratic is seen as what hangs. Of a busy machine a hundred times is left. */
const longestMillis = 2_000

const folders = ["protocols", "effect"].map((name) => new URL(`../packages/${name}/fuzz/`, import.meta.url))
const files = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "target.ts")
    .map((file) => new URL(file, folder).href)
)
const all = await Promise.all(files.map(async (file): Promise<Target> => (await import(file)).target))
const targets = all.filter(({ name }) => values.only === undefined || values.only.split(",").includes(name))
if (targets.length === 0 && all.length > 0) {
  throw new Error(`There is no decoder "${values.only}": ${all.map(({ name }) => name).join(", ")}`)
}

const random = (from: Random): Uint8Array => Uint8Array.from({ length: from.int(0, 512) }, () => from.int(0, 255))

/** One to eight changes: a bit, a byte, a piece taken out, doubled, moved, or of another seed. */
const changed = (seeds: ReadonlyArray<Uint8Array>, from: Random): Uint8Array => {
  let bytes = [...from.pick(seeds)]
  for (let times = from.int(1, 8); times > 0; times--) {
    const at = from.int(0, bytes.length)
    const piece = bytes.slice(at, at + from.int(1, 16))
    const ways: ReadonlyArray<() => void> = [
      () => (bytes[at] = (bytes[at] ?? 0) ^ (1 << from.int(0, 7))),
      () => (bytes[at] = from.pick([0, 9, 10, 13, 32, 45, 46, 48, 57, 58, 127, 128, 255, from.int(0, 255)])),
      () => bytes.splice(at, from.int(1, 16)),
      () => bytes.splice(from.int(0, bytes.length), 0, ...piece),
      () => (bytes = bytes.slice(0, at)),
      () => bytes.splice(at, 0, ...from.pick(seeds).slice(0, 256))
    ]
    from.pick(ways)()
  }
  return Uint8Array.from(bytes.slice(0, 65_536))
}

let failures = 0
for (const { check, name, seeds } of targets) {
  const start = process.hrtime.bigint()
  let failed = 0
  for (let seed = first; seed < first + inputs; seed++) {
    const from = new Random(seed, name)
    const kind = seeds.length === 0 ? 0 : from.int(0, 2)
    const input = kind === 0 ? random(from) : changed(seeds, from)
    const began = performance.now()
    let problem: unknown
    try {
      check(input, from)
      const took = performance.now() - began
      if (took > longestMillis) problem = `it took ${Math.round(took)} ms`
    } catch (error) {
      problem = error
    }
    if (problem === undefined) continue
    failed++
    if (failed > 5) continue
    console.error(`${name}, --seed ${seed} --inputs 1: ${problem instanceof Error ? problem.stack : problem}`)
    console.error(`  ${JSON.stringify(Buffer.from(input).toString("latin1").slice(0, 512))}`)
  }
  failures += failed
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  console.log(`${name}: ${inputs} inputs in ${seconds.toFixed(1)} s, ${failed} failed`)
}
process.exitCode = failures === 0 ? 0 : 1
