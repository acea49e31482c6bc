import * as Remote from "@socketserver/core/Remote"
import * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

/** What the servers of a program read of one provider, and which other names were told of. */
interface Names {
  readonly read: Set<string>
  readonly told: Set<string>
}

const known = new WeakMap<ConfigProvider.ConfigProvider, Names>()

/**
 * Says of variables that nothing reads, and that are nearly called as one that is
 * read, that somebody may have meant it: each once, when all servers of the
 * program have said what they read.
 */
export const tellMisspelt = (read: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const provider = yield* ConfigProvider.ConfigProvider
    const names: Names = known.get(provider) ?? { read: new Set(), told: new Set() }
    known.set(provider, names)
    for (const name of read) names.read.add(name)
    if (Remote.isSilent()) return
    yield* yield* Transport.WhenBuilt
    yield* Effect.yieldNow
    for (const name of yield* namesOf(provider)) {
      if (name.length < leastLetters || names.read.has(name) || names.told.has(name)) continue
      const meant = Settings.nearest(name, [...names.read])
      if (meant === undefined) continue
      names.told.add(name)
      yield* Effect.logWarning(`${name} is set, and no server reads it; did you mean ${meant}?`)
    }
  })

/** Shorter ones are near to too many others. */
const leastLetters = 6

/** All that is set, as variables are called: what a provider can list. One that fails at it lists nothing. */
const namesOf = (provider: ConfigProvider.ConfigProvider): Effect.Effect<ReadonlyArray<string>> => {
  const names: Array<string> = []
  const walk = (path: ReadonlyArray<string>): Effect.Effect<void, ConfigProvider.SourceError> =>
    Effect.flatMap(provider.load(path), (node) => {
      if (node?.value !== undefined) names.push(path.join("_"))
      if (node?._tag !== "Record" || path.length === deepest || names.length >= most) return Effect.void
      return Effect.forEach(node.keys, (key) => walk([...path, key]), { discard: true })
    })
  return Effect.as(Effect.ignore(walk([])), names)
}

/** Of parts between underscores. */
const deepest = 8

const most = 4_096
