/** The results of a full run of the benchmarks, as `pnpm bench --json FILE` writes them. */
export interface Results {
  readonly card: Card
  readonly mode: "full" | "quick"
  readonly rows: ReadonlyArray<Row>
}

export interface Card {
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly os: string
  readonly kernel: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly programs: Readonly<Record<string, string | undefined>>
}

/** What a server costs beside its baseline. A ratio that could not be measured is `null`, and the note says why. */
export interface Row {
  readonly row: string
  readonly server: string
  readonly baseline: string
  /** Requests outstanding for each connection. */
  readonly depth: number
  readonly unit: string
  readonly ratio: number | null
  readonly low: number | null
  readonly high: number | null
  readonly rounds: number
  readonly mine: number | null
  readonly theirs: number | null
  readonly othersBusy: number
  readonly note?: string
}

/** The row of the main table and of the picture, and its columns. */
export const mainRow = "lines"
export const mainDepths = [1, 16, 128]

/** A ratio with two or three digits that count. */
export const ratioText = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)
