import type { Card } from "../packages/bench/src/card.ts"
import type { Row } from "../packages/bench/src/rows.ts"

export type { Card, Row }

/** The results of a full run of the benchmarks, as `pnpm bench --json FILE` writes them. */
export interface Results {
  readonly card: Card
  readonly mode: "full" | "quick"
  readonly rows: ReadonlyArray<Row>
}

/** The row of the main table and of the picture, and its columns. */
export const mainRow = "lines"
export const mainDepths = [1, 16, 128]

/** A ratio with two or three digits that count. */
export const ratioText = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)
