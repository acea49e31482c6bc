/** How this program was started, for what is it once more: its workers, and its copies. */
import * as Result from "effect/Result"
import { existsSync, readFileSync } from "node:fs"
import { isAbsolute, normalize, resolve, sep } from "node:path"

/** Where it was when this module was loaded. Daemons go elsewhere, some of them before that. */
const here = Result.getOrElse(
  Result.try(() => process.cwd()),
  () => "/"
)

/**
 * The flags of Node that it was started with. Debuggers and watchers are for one
 * program: a second one would fail on the same port.
 */
export const flagsOf = (execArgv: ReadonlyArray<string> = process.execArgv): ReadonlyArray<string> => {
  const flags: Array<string> = []
  for (let i = 0; i < execArgv.length; i++) {
    const flag = execArgv[i] as string
    if (!/^--(inspect|watch|debug)/.test(flag)) flags.push(flag)
    // What follows it is its own.
    else if (/^--(watch-path|watch-kill-signal|(inspect|debug)-port|inspect-publish-uid)$/.test(flag)) i++
  }
  return flags
}

/**
 * The directory that it was started in: what its flags and arguments name is
 * found from there. Nobody keeps it, but Node has made the program's path whole
 * with it.
 */
export const directoryOf = (
  main: string | undefined = mainAsGiven(),
  found: string | undefined = process.argv[1],
  loadedIn: string = here,
  shells: string | undefined = process.env.PWD
): string => {
  if (main === undefined || found === undefined || isAbsolute(main)) return loadedIn
  if (resolve(loadedIn, main) === found) return loadedIn
  const tail = sep + normalize(main)
  if (!tail.startsWith(`${sep}..`) && found.endsWith(tail)) return found.slice(0, -tail.length) || sep
  return shells !== undefined && resolve(shells, main) === found ? shells : loadedIn
}

/** The program's path as it was given to Node, where the system still knows. */
const mainAsGiven = (): string | undefined => {
  const { execArgv } = process
  const line = Result.getOrElse(
    Result.try(() => readFileSync("/proc/self/cmdline", "utf8").split("\0")),
    () => []
  )
  const rest = line.slice(1 + execArgv.length)
  // A program may have put something else there, as its title.
  if (!execArgv.every((flag, i) => line[1 + i] === flag)) return undefined
  return rest[0] === "--" ? rest[1] : rest[0]
}

/**
 * The flags for a thread, which has the directory that its program has by now; or
 * none, where it may have those of the program as they are.
 */
export const threadFlagsOf = (
  execArgv: ReadonlyArray<string> = process.execArgv,
  directory: string = directoryOf(),
  now: string = process.cwd()
): ReadonlyArray<string> | undefined => {
  if (now === directory) return undefined
  const loads = /^(--import|--require|-r|--loader|--experimental-loader)(?:=(.*))?$/s
  const whole = (path: string) => (/^\.\.?[\\/]/.test(path) ? resolve(directory, path) : path)
  const flags: Array<string> = []
  let relative = false
  for (let i = 0; i < execArgv.length; i++) {
    const [, flag, value = execArgv[i + 1] ?? ""] = loads.exec(execArgv[i] as string) ?? []
    if (flag === undefined) continue
    flags.push(flag, whole(value))
    relative ||= whole(value) !== value
  }
  // Given any, a thread has no others, and may not have all that a program may.
  return relative ? flags : undefined
}

/** That the directory is gone in which what is started would be: Node says then that it cannot find the program. */
export const goneDirectory = (): string | undefined => {
  const directory = directoryOf()
  return existsSync(directory) ? undefined : `the directory that this program was started in is gone: ${directory}`
}
