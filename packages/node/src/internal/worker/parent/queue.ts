import type { Job } from "./calls.ts"

/**
 * The jobs that wait and how many they are, wherever they do: for whoever has
 * room, for one worker alone, or with a worker that was given them ahead.
 */
export class Backlog {
  private readonly limit: number
  private queue: Array<Job> = []
  /** How many wait that have somebody waiting for them. */
  size = 0
  private turns = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get isFull(): boolean {
    return this.size >= this.limit
  }

  /** A job has come. Its turn is after those that came before. */
  enter(job: Job): void {
    if (job.turn === 0) job.turn = ++this.turns
  }

  /** Lets a job wait for whoever has room, or in a queue of its own; whether it is the only one there. */
  add(job: Job, queue: Array<Job> = this.queue): boolean {
    this.counts(job)
    return queue.push(job) === 1
  }

  /** Lets jobs that have waited before wait again, before all others. */
  putBack(jobs: ReadonlyArray<Job>): void {
    for (const job of jobs) this.counts(job)
    this.queue.unshift(...jobs.toSorted((a, b) => a.turn - b.turn))
  }

  /** What has waited longest. It waits until it {@link leave}s. */
  next(queue: Array<Job> = this.queue): Job | undefined {
    let job = queue.shift()
    while (job?.settled === true) job = queue.shift()
    return job
  }

  /** A job waits no more, if it has: it begins, or nobody waits for it. */
  leave(job: Job): void {
    if (!job.waits) return
    job.waits = false
    this.size--
    // Those that have left are passed over when their turn comes. It must not take too many.
    if (this.queue.length > 2 * this.size + 64) this.queue = this.queue.filter(({ settled }) => !settled)
  }

  /** What waits for whoever has room, of which nothing waits any more. */
  takeAll(): ReadonlyArray<Job> {
    const jobs = this.queue.filter((job) => !job.settled)
    this.queue = []
    for (const job of jobs) this.leave(job)
    return jobs
  }

  private counts(job: Job): void {
    job.waits = true
    this.size++
  }
}
