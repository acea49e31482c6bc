/**
 * What has gone wrong once, against programs as operators start them: `pnpm cases [--only NAME]`.
 * A line for each case, `passed NAME` or `failed NAME: why`; the status is 1 where one fails.
 */
import { parseArgs } from "node:util"
import { all } from "./all.ts"
import { hostile } from "./hostile.ts"
import { Trial } from "./trial.ts"

const { values } = parseArgs({ options: { only: { type: "string" } } })

/** No case begins later than that. */
const until = performance.now() + 100_000

const waiting = Object.entries({ ...all, ...hostile }).filter(([name]) => name.includes(values.only ?? ""))
let failed = waiting.length === 0 ? 1 : 0
if (failed > 0) console.error(`There is no case ${JSON.stringify(values.only)}`)

/** Of two cores, which they leave idle most of the time. */
const atATime = 4

const run = async (): Promise<void> => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [name, use] = next
    const trial = new Trial()
    try {
      if (performance.now() > until) throw new Error("the others took too long: it has not begun")
      await use(trial)
      console.log(`passed ${name}`)
    } catch (error) {
      failed++
      console.log(`failed ${name}: ${error instanceof Error ? error.message : String(error)}`.replaceAll("\n", " "))
    } finally {
      trial.end()
    }
  }
}

await Promise.all(Array.from({ length: atATime }, run))
process.exit(failed > 0 ? 1 : 0)
