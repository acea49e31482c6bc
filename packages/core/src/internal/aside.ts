import type { Budget } from "./budget.ts"

/** What a policy holds elsewhere for a sender of datagrams, as its server's budget knows it. */
export class Aside {
  private readonly budget: Budget
  private bytes = 0
  private isOver = false

  constructor(budget: Budget) {
    this.budget = budget
  }

  charge(bytes: number): void {
    // One that has ended counts no more.
    if (this.isOver) return
    this.bytes += bytes
    this.budget.change(bytes)
  }

  end(): void {
    this.isOver = true
    if (this.bytes !== 0) this.budget.change(-this.bytes)
  }
}
