/** What a load generator says, and how it measures its window. */

/** What a load reports about its window. */
export interface LoadReport {
  readonly requests: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly busy: number
}

/** What a load says: that all connections are open, a window's report, or why it gave up. */
export type LoadMessage =
  | { readonly tag: "connected" }
  | { readonly tag: "began" }
  | { readonly tag: "report"; readonly report: LoadReport }
  | { readonly tag: "broken"; readonly reason: string }

const maxSamples = 1 << 18

type Clients = ReadonlyArray<{ readonly completed: number }>

export class Window {
  private readonly latencies = new Float64Array(maxSamples)
  private samples = 0
  private beganAt = 0
  private cpu = process.cpuUsage()
  private atBegin: ReadonlyArray<number> = []

  sample(millis: number): void {
    this.latencies[this.samples++ % maxSamples] = millis
  }

  begin(clients: Clients): void {
    this.beganAt = performance.now()
    this.cpu = process.cpuUsage()
    this.atBegin = clients.map(({ completed }) => completed)
    this.samples = 0
  }

  /** The report, or who got no reply. */
  end(clients: Clients): LoadReport | string {
    const elapsed = performance.now() - this.beganAt
    const used = process.cpuUsage(this.cpu)
    const completed = clients.map((client, index) => client.completed - this.atBegin[index]!)
    const starved = completed.indexOf(0)
    if (starved !== -1) return `connection ${starved}: no reply in the whole window`
    const sorted = this.latencies.subarray(0, Math.min(this.samples, maxSamples)).sort()
    const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
    return {
      requests: completed.reduce((sum, count) => sum + count, 0),
      seconds: elapsed / 1000,
      p50: quantile(0.5),
      p99: quantile(0.99),
      busy: (used.user + used.system) / 1000 / elapsed
    }
  }
}
