import { defineConfig } from "vitest/config"
import { clients } from "./vitest.workspace.ts"

/** Programs that others wrote talk to the examples: `pnpm clients`. Each file says which Debian packages it needs. */
export default defineConfig({
  test: {
    include: [clients],
    exclude: ["**/node_modules/**"],
    passWithNoTests: true,
    reporters: process.env["CI"] ? ["default", ["json", { outputFile: ".reports/clients.json" }]] : ["default"],
    isolate: false,
    maxWorkers: 2,
    testTimeout: 60_000
  }
})
