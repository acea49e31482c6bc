import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Core's tests as Stryker runs them, in its copy of the packages: `node_modules` there would lead back to the originals. */
export default defineConfig({
  resolve: {
    alias: [
      {
        find: /^@socketserver\/(core|testkit)\/(\w+)$/,
        replacement: fileURLToPath(new URL("packages/$1/src/$2.ts", import.meta.url))
      }
    ]
  },
  // A slow test is no kill: a busy machine is slow.
  test: { include: ["packages/core/test/**/*.test.ts"], testTimeout: 20_000 }
})
