/**
 * Side-by-side benchmark of line echo servers: `pnpm bench`, `pnpm bench --help`.
 *
 * Tables go to standard output, progress to standard error.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import type { ChildError } from "./child.ts"
import * as Measure from "./measure.ts"
import * as Report from "./report.ts"
import { select, transports } from "./servers.ts"

const usage = `pnpm bench [flags]

  --transport <t>    tcp (the default), tls, udp or unixgram (on Linux)
  --only <names>     comma-separated: a server's whole name, or text that names contain; the baseline is always measured
  --depth <list>     requests outstanding per connection (1,16,128; over datagrams 1,8)
  --rounds <n>       rounds, in each every server once (3)
  --seconds <s>      measured window (2)
  --warm-up <s>      time before the window (1)
  --startup          only what starting each server costs (else at the end of a run without --only and --depth)
  --check            exit 1 if a target does not hold
  --help`

const starts = 5

const { values: flags } = parseArgs({
  options: {
    transport: { type: "string", default: "tcp" },
    only: { type: "string" },
    depth: { type: "string" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    "warm-up": { type: "string", default: "1" },
    startup: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const within = (flag: string, text: string, least: number, most: number): number => {
  const value = Number(text)
  if (value >= least && value <= most) return value
  console.error(`--${flag} is ${text}, must be a number from ${least} to ${most}`)
  process.exit(2)
}

const transport = transports[flags.transport]
if (transport === undefined) {
  console.error(`--transport is ${flags.transport}, must be one of ${Object.keys(transports).join(", ")}`)
  process.exit(2)
}

const options = {
  connections: transport.connections,
  rounds: Math.floor(within("rounds", flags.rounds, 1, 50)),
  seconds: within("seconds", flags.seconds, 0.1, 60),
  warmUp: within("warm-up", flags["warm-up"], 0.1, 60)
}
const depths = (flags.depth ?? transport.depths).split(",").map((depth) => Math.floor(within("depth", depth, 1, 1024)))
const names = select(transport, flags.only)

const main = Effect.gen(function* () {
  /** Servers that failed once, and why; they are left out of what remains. */
  const unavailable = new Map<string, string>()
  const cells: Array<Report.Cell<Measure.Measurement>> = []
  const startCells: Array<Report.Cell<Measure.Start>> = []

  const record = <A>(
    into: Array<Report.Cell<A>>,
    where: Omit<Report.Cell<A>, "value">,
    measure: Effect.Effect<A, ChildError | Measure.UnderLoad>,
    show: (value: A) => string
  ) =>
    Effect.gen(function* () {
      if (unavailable.has(where.server)) return
      const label = `round ${where.round}  ${where.depth === 0 ? "start" : `depth ${where.depth}`}  ${where.server}`
      yield* Effect.matchEffect(measure, {
        onSuccess: (value) => {
          into.push({ ...where, value })
          return Console.error(`${label}  ${show(value)}`)
        },
        onFailure: ({ _tag, reason }) => {
          // A server that cannot start may not exist yet; one that answers wrongly must never pass unseen.
          if (_tag === "UnderLoad") process.exitCode = 1
          const why = _tag === "UnderLoad" ? `**failed** with ${where.depth} outstanding: ${reason}` : reason
          unavailable.set(where.server, why)
          return Console.error(`${label}  not available: ${why}`)
        }
      })
    })

  yield* Console.log(Report.header(options, transport, names))

  if (!flags.startup) {
    for (let round = 1; round <= options.rounds; round++) {
      for (const depth of depths) {
        for (const server of names) {
          yield* record(
            cells,
            { server, depth, round },
            Measure.throughput({ ...options, server, depth, load: transport.load, loadMode: transport.loadMode }),
            ({ cpu, perSecond }) => `${cpu.toFixed(2)} µs/request, ${Math.round(perSecond)} requests/s`
          )
        }
      }
    }
    for (const depth of depths) yield* Console.log("\n" + Report.depthTable(cells, depth, names))
  }

  if (flags.startup || (flags.only === undefined && flags.depth === undefined)) {
    for (let round = 1; round <= starts; round++) {
      for (const server of names) {
        yield* record(
          startCells,
          { server, depth: 0, round },
          Measure.startUp(server),
          ({ cpu }) => `${cpu.toFixed(0)} ms of CPU`
        )
      }
    }
    yield* Console.log("\n" + Report.startUpTable(startCells, names))
  }

  if (unavailable.size > 0) yield* Console.log("\n" + Report.unavailableList(unavailable))
  if (flags.startup) return
  const verdicts = Report.verdicts(cells, { names, depths })
  yield* Console.log("\n" + Report.targetTable(verdicts))
  if (flags.check && verdicts.some(({ holds }) => holds === false)) process.exitCode = 1
})

if (flags.help) console.log(usage)
else NodeRuntime.runMain(main)
