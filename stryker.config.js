const sampled = process.env.MUTANTS !== undefined

/** Mutation testing of what no user imports in core, with core's own tests: `pnpm mutate`. */
export default {
  mutate: ["packages/core/src/internal/**/*.ts"],
  testRunner: "vitest",
  plugins: ["@stryker-mutator/vitest-runner", "./scripts/sample.ts"],
  checkers: sampled ? ["sample"] : [],
  vitest: { configFile: "vitest.mutation.ts", related: false },
  coverageAnalysis: "perTest",
  // A test that takes too long counts as one that noticed: leave the machine room.
  concurrency: "50%",
  // The root's `tsconfig.json` stays out of the copy: Stryker would rewrite its paths, with an API that TypeScript 7 lacks.
  ignorePatterns: ["/*", "!/packages", "!/package.json", "!/tsconfig.base.json", "!/vitest.mutation.ts", "dist"],
  reporters: ["clear-text", "progress-append-only", "json", "html"],
  clearTextReporter: { reportTests: false },
  jsonReporter: { fileName: ".reports/mutation.json" },
  htmlReporter: { fileName: ".reports/mutation.html" },
  tempDirName: ".stryker"
}
