/**
 * Seeds of the simulated network: `pnpm simulate [--seeds N] [--first N] [--law NAME] [--all-faults]`,
 * `REPLAY=SEED pnpm simulate`, `SCENARIO=FILE pnpm simulate`. Kept scenarios are played first. The status is 1 where a law is broken.
 */
import { execFileSync, fork } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Laws from "../packages/testkit/src/Laws.ts"
import * as Scenario from "../packages/testkit/src/Scenario.ts"
import { handler, Mixed, mixed as inProcess } from "../packages/testkit/src/internal/mixed.ts"
import { prepare, simulatedWorkers } from "../packages/node/test/support/simulatedWorkers.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
    law: { type: "string" },
    processes: { type: "string", default: "2" },
    "all-faults": { type: "boolean", default: false },
    part: { type: "boolean", default: false }
  }
})

const workers = (size: number, faults?: Parameters<typeof simulatedWorkers>[3]) => {
  const policy = simulatedWorkers(Mixed, handler, size, faults)
  return { [policy.name]: policy }
}

const mixed: typeof inProcess = {
  ...inProcess,
  policies: {
    ...inProcess.policies,
    ...workers(1),
    ...workers(2, { channel: 5 }),
    ...workers(3, { start: 50, channel: 1 }),
    ...workers(2, { start: 50, channel: 2, crashes: 0.5 }),
    ...workers(2, { channel: 1, hangs: 0.7 })
  }
}
await Effect.runPromise(prepare(Mixed, handler, "echo first\n"))

// Not drawn as long as nothing bounds what it does: a peer that never reads keeps the place of its request.
const faults: Partial<Scenario.Faults> = values["all-faults"] ? {} : { never: 0 }
const places = (policy: string): number => Number(/:(\d+)/.exec(policy)?.[1] ?? (policy === "sequential" ? 1 : 1_024))
// Looked at where `--law` names them: a peer alone may have more in its turn, and who does not read may cost others more.
const all = [...Laws.all, Laws.fair({ places, placeMillis: 800 }), Laws.turn({ share: 64 })]
const laws = values.law === undefined ? Laws.all : all.filter(({ name }) => name === values.law)
if (laws.length === 0) throw new Error(`There is no law "${values.law}": ${all.map(({ name }) => name).join(", ")}`)
const kept = fileURLToPath(new URL("../packages/testkit/test/scenarios/", import.meta.url))

/** What a process says of its part. */
interface Part {
  readonly broken: ReadonlyArray<readonly [law: string, seeds: ReadonlyArray<number>]>
  readonly sometimes: Readonly<Record<string, number>>
  readonly requests: number
  readonly hashes: ReadonlyArray<string>
}

/** The hashes of some seeds, which are the same in every process and each time. */
const hashes = (): ReadonlyArray<string> =>
  Array.from({ length: 20 }, (_, i) => Scenario.play(mixed, Scenario.generate(mixed, i + 1, faults), laws).hash)

const part = (first: number, seeds: number): Part => {
  const { broken, requests, sometimes } = Scenario.check(mixed, { laws, seeds, first, faults })
  return { broken: [...broken], requests, sometimes, hashes: hashes() }
}

const child = (first: number, seeds: number): Promise<Part> =>
  new Promise((resolve, reject) => {
    const args = ["--part", "--first", String(first), "--seeds", String(seeds)]
    if (values.law !== undefined) args.push("--law", values.law)
    if (values["all-faults"]) args.push("--all-faults")
    const process = fork(fileURLToPath(import.meta.url), args)
    process.on("message", (message) => resolve(message as Part))
    process.on("exit", (code) => reject(new Error(`a process ended with ${code}`)))
  })

const commit = (): string => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim()

/** Prints what breaks a law, made smaller, and keeps it. */
const report = (scenario: Scenario.Scenario, broken: Scenario.Broken, about: string): void => {
  const law = all.find(({ name }) => name === broken.law) ?? { name: broken.law, watch: () => ({}) }
  const started = performance.now()
  const { scenario: smallest, tried } = Scenario.shrink(mixed, scenario, law)
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  const run = Scenario.play(mixed, smallest, [law], { trace: true })
  console.log(`\nFAIL ${broken.law}: ${broken.what}    ${about}, commit ${commit()}`)
  console.log(`smallest, after ${tried} runs in ${seconds} s (hash ${run.hash}):`)
  console.log(Scenario.print(smallest))
  for (const { law, what } of run.broken) console.log(`  => ${law}: ${what}`)
  if (run.waits.length > 0) console.log(`who waits for whom:\n  ${run.waits.join("\n  ")}`)
  console.log(`the end of its log:\n${run.trace.slice(-20).join("\n")}`)
  const file = `.reports/${broken.law.replaceAll(" ", "-")}-${run.hash}.json`
  mkdirSync(".reports", { recursive: true })
  writeFileSync(file, Scenario.stringify(smallest))
  console.log(`replay: REPLAY=${scenario.seed} pnpm simulate    smallest: SCENARIO=${file} pnpm simulate`)
}

/** Plays one, and tells all of it. */
const tell = (scenario: Scenario.Scenario): boolean => {
  const run = Scenario.play(mixed, scenario, laws, { trace: true })
  console.log(Scenario.print(scenario))
  console.log(run.trace.join("\n"))
  console.log(`hash ${run.hash}, ${run.turns} turns, ${run.millis} virtual ms, ${run.requests} requests`)
  for (const { law, what } of run.broken) console.log(`BROKEN ${law}: ${what}`)
  if (run.broken.length > 0) console.log(run.waits.join("\n"))
  return run.broken.length === 0
}

const many = async (): Promise<boolean> => {
  let holds = true
  let files = 0
  for (const file of readdirSync(kept).filter((name) => name.endsWith(".json"))) {
    const scenario = Scenario.parse(readFileSync(`${kept}${file}`, "utf8"))
    const [broken] = Scenario.play(mixed, scenario, Laws.all).broken
    files++
    if (broken === undefined) continue
    holds = false
    report(scenario, broken, `kept as ${file}`)
  }
  console.log(`${files} kept scenarios played`)
  const started = performance.now()
  const first = Number(values.first)
  const seeds = Number(values.seeds)
  const processes = Math.max(1, Math.min(Number(values.processes), seeds))
  const each = Math.ceil(seeds / processes)
  const parts = await Promise.all(
    Array.from({ length: processes }, (_, i) => child(first + i * each, Math.min(each, seeds - i * each)))
  )
  const seconds = (performance.now() - started) / 1_000
  const requests = parts.reduce((sum, { requests }) => sum + requests, 0)
  const rate = `${Math.round(seeds / seconds)} a second on ${processes} processes`
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, ${rate}, ${(requests / seeds).toFixed(1)} requests each`)
  const mine = hashes().join()
  if ([hashes().join(), ...parts.map(({ hashes }) => hashes.join())].some((others) => others !== mine)) {
    holds = false
    console.log("FAIL determinism: one seed has not the same hash twice, or in two processes")
  }
  const sometimes = new Map<string, number>()
  for (const part of parts) {
    for (const [name, count] of Object.entries(part.sometimes)) sometimes.set(name, (sometimes.get(name) ?? 0) + count)
  }
  console.log(`sometimes: ${[...sometimes].map(([name, count]) => `${name} ${count}`).join(", ")}`)
  const broken = new Map<string, Array<number>>()
  for (const part of parts) {
    for (const [law, seeds] of part.broken) broken.set(law, [...(broken.get(law) ?? []), ...seeds])
  }
  for (const [law, found] of broken) {
    holds = false
    const scenario = Scenario.generate(mixed, found[0] as number, faults)
    const what = Scenario.play(mixed, scenario, laws).broken.find((other) => other.law === law) as Scenario.Broken
    report(scenario, what, `${found.length} of ${seeds} seeds: ${found.slice(0, 8).join(" ")}`)
  }
  for (const name of ["stopped reading", "reset", "half-closed", "Drained", "Cancelled"]) {
    if (seeds < 1_000 || (sometimes.get(name) ?? 0) > 0) continue
    holds = false
    console.log(`FAIL sometimes: no run has had one of "${name}", which tests nothing`)
  }
  return holds
}

const { REPLAY, SCENARIO } = process.env
if (values.part) process.send?.(part(Number(values.first), Number(values.seeds)), () => process.exit(0))
else {
  const holds =
    REPLAY !== undefined
      ? tell(Scenario.generate(mixed, Number(REPLAY), faults))
      : SCENARIO !== undefined
        ? tell(Scenario.parse(readFileSync(SCENARIO, "utf8")))
        : await many()
  process.exit(holds ? 0 : 1)
}
