/** Loaded before a program whose copies start one by one: each waits until a file of its own process id is in `GATE`. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"

const { GATE = "", PREFORK } = process.env
// A copy is told to start none itself.
if (PREFORK === "") while (!existsSync(join(GATE, String(process.pid)))) await setTimeout(20)
