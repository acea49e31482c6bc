/** A process of the other side: one that attacks, or one that behaves well. Its task is the first thing that it is told. */
import { setPriority } from "node:os"
import { performance } from "node:perf_hooks"
import { type AttackName, type AttackOptions, attacks } from "./attacks.ts"
import { addressOf } from "./clients.ts"
import { datagramVictim, victim, type VictimOptions } from "./victim.ts"

export type Task =
  | { readonly role: "victim"; readonly endpoint: string; readonly options: VictimOptions }
  | {
      readonly role: "attack"
      readonly endpoint: string
      readonly name: AttackName
      readonly seconds: number
      readonly options: AttackOptions
    }

const task = await new Promise<Task>((resolve) => process.once("message", (task) => resolve(task as Task)))
const address = addressOf(task.endpoint)
const say = (what: object) => new Promise((sent) => process.send!(what, sent))

// Whoever has started it is gone.
process.on("disconnect", () => process.exit(0))
if (task.role === "victim") {
  await say(await (address.kind === "udp" ? datagramVictim : victim)(address, task.options))
} else {
  // It gives way to those whose time is measured.
  setPriority(10)
  const end = performance.now() + task.seconds * 1_000
  await attacks[task.name](address, task.options, end, (open) => void say({ ready: true, open }))
}
process.exit(0)
