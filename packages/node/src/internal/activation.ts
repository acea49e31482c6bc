import * as Endpoint from "@socketserver/core/Endpoint"
import { BindFailed, ServerError } from "@socketserver/core/ServerError"
import * as Result from "effect/Result"

/**
 * The sockets that a manager has handed to this process, by the convention of
 * `sd_listen_fds(3)`: `LISTEN_FDS` of them from descriptor 3 on, meant for the
 * process `LISTEN_PID`, named in `LISTEN_FDNAMES`.
 */
export interface Activated {
  readonly fd: number
  readonly name: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Those that are meant for this process. */
export const activated = (env: Environment = process.env, pid: number = process.pid): ReadonlyArray<Activated> => {
  const count = /^\d{1,4}$/.test(env["LISTEN_FDS"] ?? "") ? Number(env["LISTEN_FDS"]) : 0
  if (env["LISTEN_PID"] !== String(pid)) return []
  const names = (env["LISTEN_FDNAMES"] ?? "").split(":")
  return Array.from({ length: count }, (_, i) => ({ fd: first + i, name: names[i] || "unknown" }))
}

const first = 3

/** Endpoints with descriptors by number: a name may be that of several, and none can be taken twice. */
export const numbered = (
  endpoints: ReadonlyArray<Endpoint.Endpoint>,
  env: Environment = process.env,
  pid: number = process.pid
): Result.Result<ReadonlyArray<Endpoint.Endpoint>, ServerError> => {
  const all: Array<Endpoint.Endpoint> = []
  const taken = new Set<number | string>()
  for (const endpoint of endpoints) {
    const numbers = numbersOf(endpoint, env, pid)
    if (Result.isFailure(numbers)) return numbers
    for (const one of numbers.success) {
      all.push(one)
      if (one._tag !== "Fd") continue
      if (taken.has(one.fd)) return Result.fail(unbound(endpoint, `descriptor ${one.fd} is given twice; name it once`))
      taken.add(one.fd)
    }
  }
  return Result.succeed(all)
}

const numbersOf = (
  endpoint: Endpoint.Endpoint,
  env: Environment,
  pid: number
): Result.Result<ReadonlyArray<Endpoint.Endpoint>, ServerError> => {
  if (endpoint._tag !== "Fd" || typeof endpoint.fd === "number") return Result.succeed([endpoint])
  const { fd: name, query } = endpoint
  const all = activated(env, pid)
  const named = all.filter((one) => one.name === name).map(({ fd }) => Endpoint.fd(fd, query))
  if (named.length > 0) return Result.succeed(named)
  return Result.fail(unbound(endpoint, whyNone(name, all, env, pid)))
}

const unbound = (endpoint: Endpoint.Endpoint, problem: string): ServerError =>
  new ServerError({
    reason: new BindFailed({ endpoint: String(endpoint), kind: "Other", cause: new Error(problem) })
  })

const whyNone = (name: string, all: ReadonlyArray<Activated>, env: Environment, pid: number): string => {
  if (env["LISTEN_FDS"] === undefined) {
    return "no sockets were handed to this program (LISTEN_FDS is not set); start it by its socket unit"
  }
  if (env["LISTEN_PID"] !== String(pid)) {
    return `the sockets were handed to process ${env["LISTEN_PID"]}, and this is ${pid}; start node itself, without a shell or a package manager between`
  }
  return `no socket that was handed to this program has the name "${name}"; there are ${all.map((one) => one.name).join(", ")} (FileDescriptorName= in the socket unit)`
}
