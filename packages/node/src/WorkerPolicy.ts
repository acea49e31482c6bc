/**
 * Policies that run handlers in worker threads and processes, for handlers that
 * compute or may crash.
 *
 * A worker is the same program started again. There the layer of the one server
 * takes its requests from the parent instead of listening, the layers of all
 * other servers stay inert, and everything else of the program is as it is. So
 * nothing has to be written for it, and closures never cross: what crosses are
 * the payloads of requests, as they were received, and of responses. Sockets never do.
 *
 * | policy | workers | right when | wrong when |
 * |---|---|---|---|
 * | `thread` | as many as cores | handlers compute | they crash, or share native state |
 * | `pool` | as many processes as cores, reused | handlers compute and may crash | they share memory |
 * | `process` | a new process for each request | nothing may be left of a request | starting costs more than the work |
 *
 * @since 0.1.0
 */
import type * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import { PolicyError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { availableParallelism } from "node:os"
import { carried } from "./internal/worker/carried.ts"
import type * as internal from "./internal/worker/parent/options.ts"
import "./internal/worker/child/role.ts"

/**
 * The options that all policies of workers share.
 *
 * **Gotchas**
 *
 * A value that cannot be used makes a policy that fails where it is placed, with
 * a `PolicyError`, before anything is served.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions {
  /** Requests that wait for a worker in its pool. Default: 1024. More wait on their connections, which are then read no further; of what waits, peers and connections take turns. With a `Session` each connection waits for its own worker, and `maxPipelined` alone bounds it. */
  readonly queue?: number | undefined
  /** The heap of a worker, in MiB of V8's old generation; buffers are not in it. Default: what V8 chooses. A worker that needs more ends, and its request as `WorkerCrashed`; see {@link thread} for what a thread cannot. */
  readonly memory?: number | undefined
  /** How long a worker may take for a request. Default: for ever. Then it is killed, whatever it does, and the request ends as `WorkerCrashed`. `Policy.timeout` asks politely first. */
  readonly deadline?: Settings.Time | undefined
  /** How long a worker may take to start. Default: the server's `startTimeout`, 30 seconds. Then it is killed, and started again after a while. */
  readonly startTimeout?: Settings.Time | undefined
  /** How long a worker may take to end, with the scopes of its sessions, or to let go of a cancelled request. Default: 1 second. Then it is killed. */
  readonly gracePeriod?: Settings.Time | undefined
  /** Whether a request may be given to another worker when the one that had it crashed: twice at most, and not once something was answered. Default: `false`. */
  readonly idempotent?: boolean | undefined
  /** A module that places the server, to start instead of the program: a path or a `file:` URL. Default: the program. */
  readonly entry?: string | URL | undefined
  /** Whether the program is bundled into one file first, which makes workers start faster; see the how-to "run handlers in processes". It takes `rolldown`. Default: `false`. */
  readonly bundle?: boolean | undefined
}

/**
 * The options of {@link thread} and {@link pool}.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolOptions extends WorkerOptions {
  /** How many workers there are. Default: as many as there are cores to use, or fewer where memory carries fewer: one for each 80 MiB that this process leaves of what it may use, which is a container's limit, or else half of the machine's memory and 4 GiB at most; at least one. */
  readonly size?: number | undefined
  /** Requests that a worker handles at a time. Default: 1, so that a crash costs one request, and one that computes delays nobody. */
  readonly each?: number | undefined
  /** Requests after which a worker is replaced; one that has the state of connections, when they have ended. Default: never. */
  readonly recycle?: number | undefined
}

/**
 * The options of {@link process}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProcessOptions extends WorkerOptions {
  /** Processes at a time. Default: 40, the ancestor's `max_children`, or fewer where memory carries fewer, as for the `size` of {@link pool}. At the limit requests wait, see `queue`. */
  readonly max?: number | undefined
  /** Processes that are started ahead, and wait. Default: 2. With 0, each request waits for the start of its process. */
  readonly spares?: number | undefined
}

/**
 * Handlers in worker threads of this process.
 *
 * **When to use**
 *
 * For handlers that compute. They run on other cores, and the server goes on
 * meanwhile.
 *
 * **Gotchas**
 *
 * A thread that runs out of memory or dies costs its request only, but what ends
 * the process (a crash in native code, `process.abort()`) ends all of them: take
 * {@link pool} for those. So does a thread that asks at once for much more
 * memory than it has left, for one large array say: V8 has no other end for it.
 * Take them also for what waits in the system
 * (`execSync`, a native call): a thread can only be ended when it is back in
 * JavaScript, so that a deadline and a stop of the program wait for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const thread = (options: PoolOptions = {}): Policy.Policy => sized("thread", options)

/**
 * Handlers in processes that are reused, a fixed number of them.
 *
 * **Details**
 *
 * A process that crashes, exits or is killed is replaced, and exactly the
 * requests that it had begun end as `WorkerCrashed`. Requests of a connection may go
 * to different processes, unless its handler keeps state for each connection
 * (a `Session`): then all of them go to one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pool = (options: PoolOptions = {}): Policy.Policy => sized("pool", options)

/**
 * Each request in a process of its own, as the ancestor's `ForkingMixIn` has it.
 *
 * **Details**
 *
 * Nothing of a request is left for the next one: neither memory, nor what it has
 * changed in its process. Starting one takes tens of milliseconds of CPU, which
 * `spares` hide from the first requests and not from a steady load. Processes that
 * are reused are those of {@link pool}.
 *
 * **Gotchas**
 *
 * A `Session` keeps state between requests, which a process for each
 * has not: such a server fails with a `PolicyError` when it starts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const process = (options: ProcessOptions = {}): Policy.Stateless => {
  const { max = defaultMax, spares = 2 } = options
  const problem =
    positive("max", max, `for ${defaultMax}`) ??
    (Number.isSafeInteger(spares) && spares >= 0
      ? undefined
      : `spares must be an integer of 0 or more, not ${spares}; leave it out for 2`)
  const most = () => (options.max === undefined ? carried(max) : max)
  const size: Size = {
    kind: "process",
    fixed: false,
    most,
    spares,
    startsAtOnce: availableParallelism(),
    recycle: 1,
    each: 1,
    prefetch: 0
  }
  const named = { spares: spares === 2 ? undefined : spares }
  const policy = make(max === defaultMax ? "process" : `process:${max}`, options, size, named, problem)
  return { ...policy, keepsConnections: false }
}

/** The ancestor's `max_children`. */
const defaultMax = 40

const sized = (name: "thread" | "pool", options: PoolOptions): Policy.Policy => {
  const { each = 1, recycle = Infinity, size = availableParallelism() } = options
  const problem =
    positive("size", size, "for as many as there are cores") ??
    positive("each", each, "for 1") ??
    (recycle === Infinity ? undefined : positive("recycle", recycle, "for never"))
  const kind = name === "thread" ? "thread" : "process"
  const named = { each: each === 1 ? undefined : each, recycle: recycle === Infinity ? undefined : recycle }
  return make(
    options.size === undefined ? name : `${name}:${size}`,
    options,
    {
      kind,
      fixed: true,
      most: () => (options.size === undefined ? carried(size) : size),
      spares: 0,
      recycle,
      each,
      prefetch,
      prefetchQuick
    },
    named,
    problem
  )
}

/** Requests that a busy worker is given ahead of their turn: about what others do in the time that a scheduler lets a server wait. */
const prefetch = 4

/** The same where they take next to no time: they are sent, and answered, many at a time. */
const prefetchQuick = 32

interface Size extends Pick<
  internal.PoolOptions,
  "kind" | "fixed" | "spares" | "startsAtOnce" | "recycle" | "each" | "prefetch" | "prefetchQuick"
> {
  /** How many workers there are at most; asked where the policy is placed. */
  readonly most: () => number
}

/** What the server is, and what it says of times, which it may say otherwise later. */
interface Placed extends Pick<Policy.Placement<never, never>, "startMillis" | "placeMillis"> {
  readonly protocol: { readonly kind: "messages" | "connection" }
}

const make = (
  head: string,
  options: WorkerOptions,
  size: Size,
  named: Readonly<Record<string, number | undefined>>,
  wrong: string | undefined
): Policy.Policy => {
  const { memory, queue = 1_024 } = options
  const { deadline = "off" } = options
  const { gracePeriod = "1 second", startTimeout } = options
  const problem =
    wrong ??
    positive("queue", queue, "for 1024") ??
    (memory === undefined ? undefined : positive("memory", memory, "for what V8 chooses")) ??
    time("deadline", deadline, "for none", 1) ??
    (startTimeout === undefined ? undefined : time("startTimeout", startTimeout, "for 30 seconds", 1, true)) ??
    time("gracePeriod", gracePeriod, "for 1 second", 0, true)
  const settings = {
    ...named,
    queue: queue === 1_024 ? undefined : queue,
    memory,
    deadline: deadlineOf(deadline),
    idempotent: options.idempotent === true ? true : undefined,
    bundle: options.bundle === true ? true : undefined
  }
  const name = Object.entries(settings).reduce(
    (name, [option, value]) => (value === undefined ? name : `${name},${option}=${value}`),
    head
  )
  const place: Policy.Policy["place"] =
    problem === undefined
      ? (served, server) =>
          // Loaded where it is needed: a worker places nothing.
          Effect.flatMap(
            Effect.promise(() => import("./internal/worker/parent/place.ts")),
            ({ place }) =>
              Effect.mapError(
                place(served, server, pool(server)),
                (problem) => new PolicyError({ policy: name, problem })
              )
          )
      : () => Effect.fail(new PolicyError({ policy: name, problem }))
  const { most, prefetch, prefetchQuick, ...sized } = size
  const pool = (server: Placed): internal.PoolOptions => ({
    ...sized,
    max: most(),
    // The bytes of a whole connection flow to who has it: it cannot be taken back.
    ...(server.protocol.kind === "connection"
      ? { hasClaims: false, prefetch: 0 }
      : { hasClaims: true, prefetch, prefetchQuick }),
    policy: name,
    queue,
    memoryMb: memory,
    deadlineMillis: millisOf(deadline),
    get startMillis() {
      return startTimeout === undefined ? server.startMillis : millisOf(startTimeout)
    },
    graceMillis: millisOf(gracePeriod),
    get placeMillis() {
      return server.placeMillis
    },
    retries: options.idempotent === true ? 2 : 0,
    entry: options.entry === undefined ? undefined : String(options.entry),
    bundle: options.bundle === true
  })
  const grace = millisOf(gracePeriod)
  // A program whose workers may take for ever ends by its deadline all the same.
  const graceMillis = Number.isFinite(grace) ? grace : undefined
  return { name, worker: size.kind, onPeerGone: "cancel", graceMillis, drain: Remote.drain, place }
}

/** How a deadline is written, unless there is none. */
const deadlineOf = (deadline: Settings.Time): string | undefined =>
  Result.match(read(deadline), {
    onFailure: () => String(deadline),
    onSuccess: (millis) => (millis === Infinity ? undefined : Settings.formatDuration(Duration.millis(millis)))
  })

const read = (time: Settings.Time) => Settings.millis("", time, { zero: true, forever: true })

/** Of what is no time nothing is placed. */
const millisOf = (time: Settings.Time): number => Result.getOrElse(read(time), () => Infinity)

/** What is wrong with a number, and what it is without the option. */
const positive = (option: string, value: number, without: string): string | undefined =>
  Number.isSafeInteger(value) && value >= 1
    ? undefined
    : `${option} must be a positive integer, not ${value}; leave it out ${without}`

/** What is wrong with a time, and what it is without the option. */
const time = (
  option: string,
  input: Settings.Time,
  without: string,
  least: 0 | 1,
  /** Whether it is what a stop or a start waits for. */
  ends = false
): string | undefined => {
  const allows = (forever: boolean) => Result.isSuccess(Settings.millis(option, input, { zero: least === 0, forever }))
  if (allows(!ends)) return undefined
  const kind = `a ${least === 0 ? "" : "positive "}time${allows(true) ? " that ends" : ""}`
  return `${option} must be ${kind}, not ${String(input)}; leave it out ${without}`
}
