import { defineConfig } from "vitest/config"

const integration = "**/*.integration.test.ts"

const unit = (name: string, include: string) => ({
  test: { name, include: [include], exclude: [integration, "**/node_modules/**"], maxWorkers: "100%" }
})

/** Programs are spawned here and ports are bound: one file at a time, after the unit tests, with patience. */
const sequential = (name: string, include: string, testTimeout: number) => ({
  test: { name, include: [include], fileParallelism: false, testTimeout, sequence: { groupOrder: 1 } }
})

export default defineConfig({
  test: {
    passWithNoTests: true,
    // `.ci/run` counts from the JSON report, so that CI runs the very command the README names.
    reporters: process.env["CI"] ? ["default", ["json", { outputFile: ".reports/vitest.json" }]] : ["default"],
    projects: [
      unit("core", "packages/core/test/**/*.test.ts"),
      unit("node", "packages/node/test/**/*.test.ts"),
      unit("testkit", "packages/testkit/test/**/*.test.ts"),
      unit("examples", "examples/**/*.test.ts"),
      sequential("integration", `packages/node/test/${integration}`, 60_000),
      sequential("docs", "scripts/*.test.ts", 30_000)
    ]
  }
})
