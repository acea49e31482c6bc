/**
 * Seeds of the simulated network: `pnpm simulate [--seeds N] [--first N] [--law NAME] [--shrink RUNS] [--subject NAME]`,
 * `REPLAY=SEED pnpm simulate`, `SCENARIO=FILE pnpm simulate`. Kept scenarios are played first. An interrupt ends it with what has been played by then. The status is 1 where a law is broken.
 */
import { execFileSync, fork, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Laws from "../packages/testkit/src/Laws.ts"
import * as Scenario from "../packages/testkit/src/Scenario.ts"
import { freed, pinged } from "../packages/testkit/src/internal/controlled.ts"
import { handler, Mixed, mixed as inProcess, short } from "../packages/testkit/src/internal/mixed.ts"
import * as SimulatedWorkers from "../packages/node/src/SimulatedWorkers.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
    law: { type: "string" },
    /** `mixed`, a server with control messages: `pinged`, `freed`, or one that is short of memory: `short`. By default all of them, a fiftieth of the seeds for each of those. */
    subject: { type: "string" },
    processes: { type: "string", default: "2" },
    shrink: { type: "string", default: "2000" },
    part: { type: "boolean", default: false }
  }
})

const window = [256, 1_024, 65_536]
const workers = (size: number, faults: Omit<SimulatedWorkers.Options, "size" | "window"> = {}) => {
  const policy = SimulatedWorkers.make(Mixed, handler, { size, window, ...faults })
  return { [policy.name]: policy }
}

/** In process and with workers. */
const everywhere = (subject: typeof inProcess): typeof inProcess => ({
  ...subject,
  policies: {
    ...subject.policies,
    ...workers(1),
    ...workers(2, { channel: 5 }),
    ...workers(3, { start: 50, channel: 1 }),
    ...workers(2, { start: 50, channel: 2, crashes: 0.5 }),
    ...workers(2, { channel: 1, hangs: 0.7 })
  }
})

const subjects: Readonly<Record<string, Scenario.Subject<never, string, string>>> = {
  mixed: everywhere(inProcess) as never,
  pinged: pinged as never,
  freed: freed as never,
  short: everywhere(short) as never
}
const subject = subjects[values.subject ?? "mixed"]
if (subject === undefined)
  throw new Error(`There is no subject "${values.subject}": ${Object.keys(subjects).join(", ")}`)
await Effect.runPromise(SimulatedWorkers.prepare(Mixed, handler, "echo first\n"))

/** What workers have: one each, held by who does not read, with four given ahead; and what their faults may cost. */
const places = (policy: string): Laws.Places | undefined => {
  const [, size] = /^workers:(\d+)/.exec(policy) ?? []
  if (size === undefined) return Laws.placesOf(policy)
  const most = (fault: string): number => Number(new RegExp(`${fault} ([\\d.]+)`).exec(policy)?.[1] ?? 0)
  const faults =
    most("start") + 20 * most("channel") + (most("hangs") > 0 ? 600 : 0) + (most("crashes") > 0 ? 1_000 : 0)
  return {
    count: Number(size),
    exclusive: true,
    extraMillis: 4 * subject.handlerMillis + faults,
    // Where less memory is drawn than a channel takes, what a worker has begun to send comes all the same.
    onItsWay: values.subject === "short" ? Number(size) * Math.max(...window) : 0
  }
}
const ofPlaces = [Laws.fair({ places }), Laws.bytes({ places })]
const all = Laws.all.map((law) => ofPlaces.find(({ name }) => name === law.name) ?? law)
const laws = values.law === undefined ? all : all.filter(({ name }) => name === values.law)
if (laws.length === 0) throw new Error(`There is no law "${values.law}": ${all.map(({ name }) => name).join(", ")}`)
/** What was found: that of each other subject than `mixed` is in a folder of its own. */
const isMixed = subject === subjects["mixed"]
const folder = isMixed ? "" : `${values.subject}/`
const kept = fileURLToPath(new URL(`../packages/testkit/test/scenarios/${folder}`, import.meta.url))

/** What has to happen in a thousand runs, or nothing of it is tested. */
const rare: ReadonlyArray<string> = [
  "stopped reading, reset, half-closed, a window is full, a reset is forgotten",
  "Cancelled, TimedOut, Drained, WorkerCrashed, a worker hangs",
  "not begun: place, not begun: turn, not begun: reader, begun: handler, begun: turn, begun: reader"
].flatMap((names) => names.split(", "))

/** What some seeds have shown. */
interface Part {
  readonly broken: ReadonlyArray<readonly [law: string, seeds: ReadonlyArray<number>]>
  readonly sometimes: Readonly<Record<string, number>>
  readonly requests: number
  readonly seeds: number
}

/** The hashes of some seeds, which are the same in every process and each time. */
const hashes = (): string =>
  Array.from({ length: 20 }, (_, i) => Scenario.play(subject, Scenario.generate(subject, i + 1), laws).hash).join()

// How many seeds are told together.
const slice = 500

/** Plays seeds, and tells the parent what each slice has shown; its hashes at the end. */
const part = async (first: number, seeds: number): Promise<void> => {
  const tell = (message: Part | string) => new Promise<void>((resolve) => process.send?.(message, () => resolve()))
  for (let at = 0; at < seeds; at += slice) {
    const checked = Scenario.check(subject, { laws, first: first + at, seeds: Math.min(slice, seeds - at) })
    await tell({ ...checked, broken: [...checked.broken] })
  }
  await tell(hashes())
}

/** All that has been shown by now. */
class Shown {
  seeds = 0
  requests = 0
  readonly broken = new Map<string, Array<number>>()
  readonly sometimes = new Map<string, number>()
  readonly hashes: Array<string> = []

  add(part: Part | string): void {
    if (typeof part === "string") return void this.hashes.push(part)
    this.seeds += part.seeds
    this.requests += part.requests
    for (const [name, count] of Object.entries(part.sometimes)) {
      this.sometimes.set(name, (this.sometimes.get(name) ?? 0) + count)
    }
    for (const [law, seeds] of part.broken) {
      const before = this.broken.get(law)
      if (before === undefined) console.log(`seed ${seeds[0]} breaks ${law}`)
      this.broken.set(law, [...(before ?? []), ...seeds])
    }
  }
}

/** Has another process play seeds, until it has, or somebody wants no more. */
const child = (first: number, seeds: number, shown: Shown): Promise<void> =>
  new Promise((resolve, reject) => {
    const args = ["--part", "--first", String(first), "--seeds", String(seeds)]
    if (values.law !== undefined) args.push("--law", values.law)
    if (values.subject !== undefined) args.push("--subject", values.subject)
    const player = fork(fileURLToPath(import.meta.url), args)
    let enough = false
    const stop = () => {
      enough = true
      player.kill("SIGKILL")
    }
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop)
    player.on("message", (message) => shown.add(message as Part | string))
    player.on("exit", (code) => {
      if (enough || code === 0) resolve()
      else reject(new Error(`a process ended with ${code}`))
    })
  })

const commit = (): string => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim()

/** Prints what breaks a law, made smaller, and keeps it. */
const report = (scenario: Scenario.Scenario, broken: Scenario.Broken, about: string): void => {
  const law = all.find(({ name }) => name === broken.law) ?? { name: broken.law, watch: () => ({}) }
  const started = performance.now()
  const { scenario: smallest, tried } = Scenario.shrink(subject, scenario, law, Number(values.shrink))
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  const run = Scenario.play(subject, smallest, [law], { trace: true })
  console.log(`\nFAIL ${broken.law}: ${broken.what}    ${about}, commit ${commit()}`)
  console.log(`smallest, after ${tried} runs in ${seconds} s (hash ${run.hash}):`)
  console.log(Scenario.print(smallest))
  for (const { law, what } of run.broken) console.log(`  => ${law}: ${what}`)
  if (run.waits.length > 0) console.log(`who waits for whom:\n  ${run.waits.join("\n  ")}`)
  console.log(`the end of its log:\n${run.trace.slice(-20).join("\n")}`)
  const which = values.subject === undefined ? "" : ` --subject ${values.subject}`
  const file = `.reports/${broken.law.replaceAll(" ", "-")}-${run.hash}.json`
  mkdirSync(".reports", { recursive: true })
  writeFileSync(file, Scenario.stringify(smallest))
  console.log(
    `replay: REPLAY=${scenario.seed} pnpm simulate${which}    smallest: SCENARIO=${file} pnpm simulate${which}`
  )
}

/** Plays one, and tells all of it. */
const tell = (scenario: Scenario.Scenario): boolean => {
  const run = Scenario.play(subject, scenario, laws, { trace: true })
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
  for (const file of existsSync(kept) ? readdirSync(kept).filter((name) => name.endsWith(".json")) : []) {
    const scenario = Scenario.parse(readFileSync(`${kept}${file}`, "utf8"))
    const [broken] = Scenario.play(subject, scenario, all).broken
    files++
    if (broken === undefined) continue
    holds = false
    report(scenario, broken, `kept as ${file}`)
  }
  if (files > 0) console.log(`${files} kept scenarios played`)
  const started = performance.now()
  const first = Number(values.first)
  const wanted = Number(values.seeds)
  const processes = Math.max(1, Math.min(Number(values.processes), wanted))
  const each = Math.ceil(wanted / processes)
  const shown = new Shown()
  await Promise.all(
    Array.from({ length: processes }, (_, i) => child(first + i * each, Math.min(each, wanted - i * each), shown))
  )
  const { requests, seeds, sometimes } = shown
  const seconds = (performance.now() - started) / 1_000
  const rate = `${Math.round(seeds / seconds)} a second on ${processes} processes`
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, ${rate}, ${(requests / seeds).toFixed(1)} requests each`)
  const mine = hashes()
  if ([hashes(), ...shown.hashes].some((others) => others !== mine)) {
    holds = false
    console.log("FAIL determinism: one seed has not the same hash twice, or in two processes")
  }
  console.log(`sometimes: ${[...sometimes].map(([name, count]) => `${name} ${count}`).join(", ")}`)
  for (const [law, found] of shown.broken) {
    holds = false
    const scenario = Scenario.generate(subject, found[0] as number)
    const what = Scenario.play(subject, scenario, laws).broken.find((other) => other.law === law) as Scenario.Broken
    report(scenario, what, `${found.length} of ${seeds} seeds: ${found.slice(0, 8).join(" ")}`)
  }
  for (const name of isMixed ? rare : []) {
    if (seeds < 1_000 || (sometimes.get(name) ?? 0) > 0) continue
    holds = false
    console.log(`FAIL sometimes: no run has had one of "${name}", which tests nothing`)
  }
  if (values.subject === undefined) {
    for (const name of Object.keys(subjects).slice(1)) holds = others(name, Math.ceil(wanted / 50)) && holds
  }
  return holds
}

/** The same with another subject. */
const others = (name: string, seeds: number): boolean => {
  console.log(`\n${name}:`)
  const args = ["--subject", name, "--seeds", String(seeds), "--first", values.first]
  if (values.law !== undefined) args.push("--law", values.law)
  return spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...args], { stdio: "inherit" }).status === 0
}

const { REPLAY, SCENARIO } = process.env
if (values.part) {
  // Whoever interrupts the parent has it end this one.
  process.on("SIGINT", () => {})
  await part(Number(values.first), Number(values.seeds))
  process.exit(0)
} else {
  const holds =
    REPLAY !== undefined
      ? tell(Scenario.generate(subject, Number(REPLAY)))
      : SCENARIO !== undefined
        ? tell(Scenario.parse(readFileSync(SCENARIO, "utf8")))
        : await many()
  process.exit(holds ? 0 : 1)
}
