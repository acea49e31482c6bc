import type { Dialect } from "./dialect.ts"
import { codecs } from "./dialectsOfCodecs.ts"
import { framings } from "./dialectsOfFramings.ts"
import { others } from "./dialectsOfTheirOwn.ts"

/** What crosses to a worker and back is a payload, so that every framing and every codec is gone through. */
export const dialects: ReadonlyArray<Dialect> = [...framings, ...codecs, ...others]
