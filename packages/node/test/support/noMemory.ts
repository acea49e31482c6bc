/** Loaded before a program: while a file is there the system starts no process, as one without memory does. */
import childProcess from "node:child_process"
import { existsSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const { NO_MEMORY = "" } = process.env
const { spawn } = childProcess

childProcess.spawn = ((...args: Parameters<typeof spawn>) => {
  if (existsSync(NO_MEMORY)) throw Object.assign(new Error("spawn ENOMEM"), { code: "ENOMEM", syscall: "spawn" })
  return spawn(...args)
}) as typeof spawn
syncBuiltinESMExports()
