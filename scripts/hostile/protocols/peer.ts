/** A process of the other side, for the protocols of the examples. Its task is the first thing that it is told. */
import { setPriority } from "node:os"
import { performance } from "node:perf_hooks"
import { addressOf } from "../clients.ts"
import { type Attack, ways } from "./attacks.ts"
import { probe, type ProbeOptions } from "./probes.ts"

export type Task =
  | { readonly role: "probe"; readonly endpoint: string; readonly options: ProbeOptions }
  | { readonly role: "attack"; readonly endpoint: string; readonly seconds: number; readonly attack: Attack }

const task = await new Promise<Task>((resolve) => process.once("message", (task) => resolve(task as Task)))
const address = addressOf(task.endpoint)
const say = (what: object) => new Promise((sent) => process.send!(what, sent))

// Whoever has started it is gone.
process.on("disconnect", () => process.exit(0))
if (task.role === "probe") await say(await probe(address, task.options))
else {
  // It gives way to those whose time is measured.
  setPriority(10)
  const end = performance.now() + task.seconds * 1_000
  await ways[task.attack.how](address, task.attack, end, (open) => void say({ ready: true, open }))
}
process.exit(0)
