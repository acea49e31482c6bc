/** The machine, and what runs on it: figures of two of them do not compare. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import * as Os from "node:os"

export interface Card {
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly os: string
  readonly kernel: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly programs: { readonly python?: string; readonly go?: string }
}

const said = (program: string, ...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

export const card = (root: string): Card => {
  const python = said("python3", "-c", "import platform; print(platform.python_version())")
  const go = said("go", "env", "GOVERSION")
  // Results that are written piece by piece change nothing of what is measured.
  const measured = [".", ":!packages/bench/results"]
  const changed = said("git", "-C", root, "status", "--porcelain", "--untracked-files=no", "--", ...measured)
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${said("git", "-C", root, "rev-parse", "--short=12", "HEAD") ?? "unknown"}${changed ? ", changed" : ""}`,
    node: process.version,
    os: `${Os.type()} ${Os.arch()}`,
    kernel: Os.release(),
    cpu: Os.cpus()[0]?.model.trim() ?? "unknown",
    cores: Os.availableParallelism(),
    memoryGib: Math.round(Os.totalmem() / 2 ** 30),
    programs: { ...(python === undefined ? {} : { python }), ...(go === undefined ? {} : { go }) }
  }
}

/** How many files one process may have open; Node asks for as many as it may. */
export const openFiles = (): number => {
  if (!existsSync("/proc/self/limits")) return 1024
  const [, hard] = /Max open files\s+\d+\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8")) ?? []
  return Number(hard ?? 1024)
}
