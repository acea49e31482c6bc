import * as Settings from "@socketserver/core/Settings"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { positive, type Read } from "../positive.ts"
import type { CopyLimits } from "../prefork/copyHandle.ts"

/** What is set for a program as a whole, and not for one of its servers. */
export interface ProgramSettings {
  /** Of how many copies of it are run, where it is several. */
  readonly copies: number | undefined
  /** For how long its event loop may stand still. */
  readonly silenceMillis: number | undefined
  /** How long a copy may take to start, and for how long its event loop may stand still. */
  readonly startMillis: number | undefined
  readonly hangMillis: number | undefined
}

export const copyLimitsOf = ({ hangMillis, startMillis }: ProgramSettings): CopyLimits => ({
  startMillis: startMillis ?? 30_000,
  hangMillis: hangMillis ?? 10_000
})

/** More than any machine runs. */
const mostCopies = 9_999

const timeOf =
  (forms: Settings.DurationForms): Read<number> =>
  (text) =>
    Result.mapBoth(Settings.duration(text, forms), {
      onSuccess: Duration.toMillis,
      onFailure: (problem) => `it ${problem}`
    })

const silenceOf: Read<number | undefined> = (text) =>
  Result.map(timeOf({ off: true })(text), (millis) => (millis === Infinity ? undefined : millis))

/** Whoever sets it believes that the program is not root any more. */
const nobodyElse: Read<never> = () =>
  Result.fail(
    "a program does not change its user; start it as that user, with CAP_NET_BIND_SERVICE or with a socket of its manager where it has a port below 1024"
  )

/** The variables, and how each is read. */
const variables = {
  runAs: { name: "RUN_AS", read: nobodyElse },
  copies: { name: "PREFORK", read: positive(mostCopies) },
  silenceMillis: { name: "WATCHDOG", read: silenceOf },
  startMillis: { name: "START_TIMEOUT", read: timeOf({}) },
  hangMillis: { name: "HANG_TIMEOUT", read: timeOf({ off: true }) }
} as const

export const programNames: ReadonlyArray<string> = Object.values(variables).map(({ name }) => name)

/** Those of the environment, which are known before anything of the program is built; or what is wrong with one. */
export const ofEnvironment = (env: NodeJS.ProcessEnv = process.env): Result.Result<ProgramSettings, string> => {
  const read = <A>({ name, read }: { readonly name: string; readonly read: Read<A> }) =>
    Result.mapError(from(env[name], read), (problem) => `${name}: ${problem}`)
  const { copies, hangMillis, runAs, silenceMillis, startMillis } = variables
  return Result.all({
    runAs: read(runAs),
    copies: read(copies),
    silenceMillis: read(silenceMillis),
    startMillis: read(startMillis),
    hangMillis: read(hangMillis)
  })
}

const from = <A>(text: string | undefined, read: Read<A>): Result.Result<A | undefined, string> =>
  text === undefined || text === "" ? Result.succeed(undefined) : read(text)

/** The same of the program's own provider, as `parsed` reads a variable of it. */
export const ofProvider = (
  parsed: <A>(name: string, read: Read<A>) => Config.Config<A | undefined>
): Config.Config<ProgramSettings> =>
  Config.all({
    runAs: parsed(variables.runAs.name, variables.runAs.read),
    copies: parsed(variables.copies.name, variables.copies.read),
    silenceMillis: parsed(variables.silenceMillis.name, variables.silenceMillis.read),
    startMillis: parsed(variables.startMillis.name, variables.startMillis.read),
    hangMillis: parsed(variables.hangMillis.name, variables.hangMillis.read)
  })

/** Who is told of those of the provider, by the first server that is placed by configuration; it may end the build with that. */
export const OnProgramSettings = Context.Reference<(settings: ProgramSettings) => Effect.Effect<void>>(
  "@socketserver/node/OnProgramSettings",
  { defaultValue: () => () => Effect.void }
)
