import type * as inspector from "node:inspector"

/** Whether a debugger may hold this program, however it was told that one may come. */
export const isDebugged = (): boolean =>
  (process.getBuiltinModule("node:inspector") as typeof inspector | undefined)?.url() !== undefined
