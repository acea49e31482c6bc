import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const integration = "**/*.integration.test.ts"

/** What talks to programs of others, which `pnpm clients` runs. */
export const clients = "**/*.clients.test.ts"

/** Of each project, what takes longest begins first: what begins last runs beside nothing. */
class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex((name) => moduleId.includes(`/${name}.`))
      return at < 0 ? longest.length : at
    }
    const projects = Map.groupBy(await super.sort(files), ({ project }) => project.name)
    return [...projects.values()].flatMap((all) => all.toSorted((one, other) => rank(one) - rank(other)))
  }
}
const longest = ["Copies", "Placement", "Tls.integration", "pool.fuzz", "FdServer"]

/** Where Node keeps what it has compiled: a program that starts for the second time takes half of the CPU. */
const compiled = fileURLToPath(new URL("node_modules/.cache/node-compile", import.meta.url))

/**
 * Files share the modules that a worker has loaded: a file of its own for each took a third of the CPU of all tests.
 * So no test leaves anything behind in a module; what a file starts, it ends.
 */
const shared = { isolate: false }

/** Time is virtual or waited for by events. What hangs until a drain's default of ten seconds is over hangs too long. */
const unit = (name: string, include: string, testTimeout = 9_000) => ({
  test: {
    name,
    include: [include],
    exclude: [integration, clients, "**/node_modules/**"],
    env: { NODE_COMPILE_CACHE: compiled },
    ...shared,
    // Those of sockets wait now and then.
    maxWorkers: 3,
    testTimeout
  }
})

/** Programs are spawned here and ports are bound, after the unit tests, with patience. */
const programs = (name: string, include: string, testTimeout: number, bundled?: string) => ({
  test: {
    name,
    include: [include],
    env: { NODE_COMPILE_CACHE: compiled, ...(bundled !== undefined && { BUNDLED: "yes" }) },
    globalSetup: bundled ?? [],
    ...shared,
    // Most of them wait for others most of the time, so that more than one keeps two cores busy.
    maxWorkers: 4,
    testTimeout,
    sequence: { groupOrder: 1 }
  }
})

export default defineConfig({
  test: {
    passWithNoTests: true,
    sequence: { sequencer: LongestFirst },
    // `.ci/run` counts from the JSON report, so that CI runs the very command the README names.
    reporters: process.env["CI"] ? ["default", ["json", { outputFile: ".reports/vitest.json" }]] : ["default"],
    projects: [
      unit("core", "packages/core/test/**/*.test.ts"),
      // Sockets and timers of the system are here, whose time a busy machine stretches.
      unit("node", "packages/node/test/**/*.test.ts", 60_000),
      unit("testkit", "packages/testkit/test/**/*.test.ts"),
      unit("protocols", "packages/protocols/test/**/*.test.ts"),
      unit("effect", "packages/effect/test/**/*.test.ts", 60_000),
      unit("examples", "examples/**/*.test.ts"),
      programs(
        "integration",
        `packages/{node,effect}/test/${integration}`,
        60_000,
        "packages/node/test/support/bundling.ts"
      ),
      programs("docs", "scripts/*.test.ts", 30_000),
      // They count, and take no time.
      programs("bench", "packages/bench/test/**/*.test.ts", 120_000)
    ]
  }
})
