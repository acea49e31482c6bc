/** Ports that a test names before they are bound. */
import { createServer } from "node:net"

/**
 * A port of 127.0.0.1 that nobody has, and that the system gives nobody: below those that it chooses from, and another
 * one in each worker of the test runner.
 */
export const ownPort = (): Promise<string> =>
  new Promise((resolve) => {
    const next = (): void => {
      const port = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 20) * 500 + (count++ % 500)
      const server = createServer().on("error", next)
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(String(port))))
    }
    next()
  })

let count = Math.floor(Math.random() * 500)
