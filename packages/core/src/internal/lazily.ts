import * as Effect from "effect/Effect"

/** Loads a module where it is first asked for. From then on it is there at once, also for those who wait for no promise. */
const lazily = <A>(load: () => Promise<A>): Effect.Effect<A> => {
  let loaded: A | undefined
  return Effect.suspend(() =>
    loaded === undefined
      ? Effect.map(Effect.promise(load), (module) => {
          loaded = module
          return module
        })
      : Effect.succeed(loaded)
  )
}

/** What only a program with clients needs. */
export const clients = lazily(() => import("./typedClient.ts"))

/** What only a worker needs. */
export const hostedServers = lazily(() => import("./hosted.ts"))
