/** Loaded before a program: it says on stderr when a timer fires that was set for ten seconds or more, as the default of each drain is. */
const { setTimeout } = globalThis

globalThis.setTimeout = ((f: (...args: ReadonlyArray<unknown>) => void, millis = 0, ...args: ReadonlyArray<unknown>) =>
  setTimeout(() => {
    if (millis >= 10_000) process.stderr.write(`waited for ${millis} ms\n`)
    f(...args)
  }, millis)) as never
