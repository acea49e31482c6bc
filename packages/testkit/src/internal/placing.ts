import { describe } from "@effect/vitest"
import type { Placing } from "./placed.ts"
import { placingStates, placingTalks } from "./placingConnections.ts"
import { placingDatagrams } from "./placingDatagrams.ts"
import { placingRequests } from "./placingRequests.ts"
import { spoken } from "./scripted.ts"

/** Where a handler runs must not matter, whatever is spoken: a transport stays where it is, and the protocol crosses. */
export const placing = (setting: Omit<Placing, "spoken">): void => {
  for (const it of spoken) {
    const law = { ...setting, spoken: it }
    describe(it.name, () => {
      placingRequests(law)
      placingTalks(law)
      if (law.keepsState) placingStates(law)
    })
  }
}

/** The same for datagrams: each is a request, and each message of a response a datagram. */
export const placingOfDatagrams = (setting: Omit<Placing, "spoken">): void => {
  for (const it of spoken) describe(it.name, () => placingDatagrams({ ...setting, spoken: it }))
}
