import { isatty } from "node:tty"
import { reload } from "../reloads.ts"
import type { Manager } from "./manager.ts"

/**
 * What SIGHUP is for a program without copies, until the returned function is
 * called: that its files are to be read anew, as daemons have it; or, for one that
 * was started at a terminal, that the terminal is gone, and then it stops.
 */
export const onHangUp = (manager: Manager | undefined, tell: (line: string) => void): (() => void) => {
  const atTerminal = isAtTerminal()
  const on = () => {
    if (atTerminal && !isAtTerminal()) return void process.kill(process.pid, "SIGTERM")
    const told = manager?.isReady === true ? manager : undefined
    told?.reloading()
    if (!reload()) tell("SIGHUP: there is no certificate in a file to be read anew")
    told?.ready()
  }
  process.on("SIGHUP", on)
  return () => void process.off("SIGHUP", on)
}

const isAtTerminal = (): boolean => [0, 1, 2].some((fd) => isatty(fd))
