/** Programs that others wrote, as the tests of the examples run them. */
import { spawnSync } from "node:child_process"

/**
 * Whether a program is missing: then a test says which Debian package has it and is
 * skipped. In CI, where it is installed, that is a failure.
 */
export const missing = (program: string, debianPackage: string): boolean => {
  const absent = spawnSync(program, ["-V"], { stdio: "ignore" }).error !== undefined
  if (!absent) return false
  const problem = `${program} is not installed (Debian: ${debianPackage})`
  if (process.env["CI"]) throw new Error(problem)
  console.warn(`${problem}: the tests that talk to it are skipped`)
  return true
}
