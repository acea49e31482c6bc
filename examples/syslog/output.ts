/** Where lines go: to stdout, or to the end of a file. */
import * as Remote from "@socketserver/core/Remote"
import { NodeServer } from "@socketserver/node"
import { Config, Console, Context, Effect, Layer } from "effect"
import { Appender } from "./appender.ts"

export class Output extends Context.Service<Output, { readonly write: (line: string) => Effect.Effect<void> }>()(
  "Output"
) {}

/** In the file that `FILE` names. Without it, on stdout. */
export const OutputLive = Layer.unwrap(
  Effect.map(Config.withDefault(Config.String("FILE"), undefined), (path) =>
    path === undefined ? OutputStdout : outputFile(path)
  )
)

const OutputStdout = Layer.succeed(Output, { write: (line) => Console.log(line) })

/** At the end of a file. Each line is one write, so that those of several programs do not mix. */
export const outputFile = (path: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      // A worker hears of no SIGHUP, so it looks for itself whether the file was moved away.
      const looks = (yield* Remote.host) !== undefined
      const appender = yield* Effect.acquireRelease(
        Effect.try({ try: () => new Appender(path, looks), catch: (error) => error as Error }),
        (appender) => Effect.sync(() => appender.close())
      )
      // What cannot be written ends its request as `Failed`, and the log says why.
      const output = { write: (line: string) => Effect.orDie(appender.append(line)) }
      const reopened = Effect.suspend(() => {
        const problem = appender.reopen()
        return problem === undefined
          ? Effect.logInfo(`SIGHUP: opened ${path} again`)
          : Effect.logError(`SIGHUP: ${problem.message}; the file that was open is written to`)
      })
      return Layer.merge(Layer.succeed(Output, output), NodeServer.onReload(reopened))
    })
  )
