import { describe } from "@effect/vitest"
import { dialects } from "./dialects.ts"
import type { PlacingProtocols } from "./placed.ts"
import { placingWire } from "./placingWire.ts"
import { placingDialogues, placingSessions } from "./placingWireStates.ts"

/** The same bytes are on the wire wherever a handler runs, whatever is spoken. */
export const placingProtocols = (setting: PlacingProtocols): void => {
  for (const dialect of dialects) {
    describe(dialect.name, () => {
      placingWire(setting, dialect)
      if (dialect.isThorough && setting.keepsState) placingSessions(setting, dialect)
      if (dialect.isThorough && !setting.brief) placingDialogues(setting, dialect)
    })
  }
}
