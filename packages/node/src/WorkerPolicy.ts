/**
 * Policies that run handlers in worker threads and processes.
 *
 * A worker is the same program started again. There the layer of the one server
 * takes its requests from the parent instead of listening, the layers of all
 * other servers stay inert, and everything else of the program is as it is. So
 * nothing has to be written for it, and closures never cross: what crosses are
 * requests and responses, encoded by the server's protocol. Sockets never do.
 *
 * | policy | workers | right when | wrong when |
 * |---|---|---|---|
 * | `thread` | as many as cores | handlers compute | they crash, or share native state |
 * | `processes` | a fixed number | handlers compute and may crash | they share memory |
 * | `process` | a new one for each request | nothing may be left of a request | starting costs more than the work |
 *
 * @since 0.1.0
 */
import type * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { availableParallelism } from "node:os"
import type { PoolOptions } from "./internal/worker/parent/options.ts"
import "./internal/worker/child/role.ts"

/**
 * The options that all policies of workers share.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions {
  /** Requests that wait for a worker. Default: 1024. One more ends as `Refused`, at once; accepting goes on. */
  readonly queue?: number | undefined
  /** The heap of a worker, in MiB of V8's old generation; buffers are not in it. Default: what V8 chooses. A worker that needs more ends, and its request as `WorkerCrashed`; see {@link thread} for what a thread cannot. */
  readonly memory?: number | undefined
  /** How long a worker may take for a request. Default: for ever. Then it is killed, whatever it does, and the request ends as `WorkerCrashed`. `Policy.timeout` asks politely first. */
  readonly deadline?: Duration.Input | undefined
  /** How long a worker may take to start. Default: 30 seconds. Then it is killed, and started again after a while. */
  readonly startTimeout?: Duration.Input | undefined
  /** How long a worker may take to end, or to let go of a cancelled request. Default: 1 second. Then it is killed. */
  readonly grace?: Duration.Input | undefined
  /** Whether a request may be given to another worker when the one that had it crashed: twice at most, and not once something was answered. Default: `false`. */
  readonly idempotent?: boolean | undefined
  /** A module that places the server, to start instead of the program: a path or a `file:` URL. Default: the program. */
  readonly entry?: string | URL | undefined
  /** Whether the program is bundled into one file first, which makes workers start faster; see the how-to "run handlers in processes". It takes `rolldown`. Default: `false`. */
  readonly bundle?: boolean | undefined
}

/**
 * The options of {@link thread} and {@link processes}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SizedOptions extends WorkerOptions {
  /** How many workers there are. Default: as many as the machine has cores to use. */
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
  /** Processes at a time. Default: 40, the ancestor's `max_children`. At the limit requests wait, see `queue`. */
  readonly max?: number | undefined
  /** Processes that are started ahead, and wait. Default: 2. With 0, each request waits for the start of its process. */
  readonly spares?: number | undefined
  /** Requests that a process handles before it ends, one after the other. Default: 1. */
  readonly recycle?: number | undefined
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
 * {@link processes} for those. So does a thread that asks at once for much more
 * memory than it has left, for one large array say: V8 has no other end for it.
 * Take them also for what waits in the system
 * (`execSync`, a native call): a thread can only be ended when it is back in
 * JavaScript, so that a deadline and a stop of the program wait for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const thread = (options: SizedOptions = {}): Policy.Crossing => sized("thread", options)

/**
 * Handlers in a fixed number of processes.
 *
 * **Details**
 *
 * A process that crashes, exits or is killed is replaced, and exactly the
 * requests that it had begun end as `WorkerCrashed`. Requests of a connection may go
 * to different processes, unless its handler keeps state for each connection
 * (`Handler.perConnection`): then all of them go to one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const processes = (options: SizedOptions = {}): Policy.Crossing => sized("process", options)

/**
 * Each request in a process of its own, as the ancestor's `ForkingMixIn` has it.
 *
 * **Details**
 *
 * Nothing of a request is left for the next one: neither memory, nor what it has
 * changed in its process. Starting one takes tens of milliseconds of CPU, which
 * `spares` hide from the first requests and not from a steady load.
 *
 * **Gotchas**
 *
 * `Handler.perConnection` keeps state between requests, which a process for each
 * has not: such a server fails with a `PolicyError` when it starts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const process = (options: ProcessOptions = {}): Policy.Crossing => {
  const { max = 40, recycle = 1, spares = 2 } = options
  positive("process", "max", max)
  positive("process", "recycle", recycle)
  if (!Number.isSafeInteger(spares) || spares < 0) {
    throw new RangeError(`WorkerPolicy.process: spares must be an integer of 0 or more, not ${spares}`)
  }
  return make(
    "process",
    options,
    { fixed: false, max, spares, recycle, each: 1, prefetch: recycle === 1 ? 0 : prefetch },
    { max: 40, spares: 2, recycle: 1 }
  )
}

const sized = (kind: "thread" | "process", options: SizedOptions): Policy.Crossing => {
  const { each = 1, recycle = Infinity, size = availableParallelism() } = options
  positive(kind, "size", size)
  positive(kind, "each", each)
  if (recycle !== Infinity) positive(kind, "recycle", recycle)
  const head = options.size === undefined && kind === "thread" ? kind : `${kind}:${size}`
  return make(
    head,
    options,
    { fixed: true, max: size, spares: 0, recycle, each, prefetch },
    { max: size, spares: 0, recycle: Infinity }
  )
}

/** Requests that a busy worker is given ahead of their turn: about what others do in the time that a scheduler lets a server wait. */
const prefetch = 4

type Size = Pick<PoolOptions, "fixed" | "max" | "spares" | "recycle" | "each" | "prefetch">

const make = (
  head: string,
  options: WorkerOptions,
  size: Size,
  defaults: Pick<Size, "max" | "spares" | "recycle">
): Policy.Crossing => {
  const { memory, queue = 1_024 } = options
  positive(head, "queue", queue)
  if (memory !== undefined) positive(head, "memory", memory)
  const kind = head.startsWith("thread") ? "thread" : "process"
  const deadlineMillis = Duration.toMillis(options.deadline ?? Duration.infinity)
  const settings = {
    max: size.max === defaults.max ? undefined : size.max,
    spares: size.spares === defaults.spares ? undefined : size.spares,
    each: size.each === 1 ? undefined : size.each,
    recycle: size.recycle === defaults.recycle ? undefined : size.recycle,
    queue: queue === 1_024 ? undefined : queue,
    memory,
    deadline: deadlineMillis === Infinity ? undefined : `${deadlineMillis} millis`,
    idempotent: options.idempotent === true ? true : undefined,
    bundle: options.bundle === true ? true : undefined
  }
  const name = Object.entries(settings).reduce(
    (name, [option, value]) => (value === undefined ? name : `${name},${option}=${value}`),
    head
  )
  const pool: PoolOptions = {
    ...size,
    hasClaims: true,
    policy: name,
    kind,
    queue,
    memoryMb: memory,
    deadlineMillis,
    startMillis: Duration.toMillis(options.startTimeout ?? "30 seconds"),
    graceMillis: Duration.toMillis(options.grace ?? "1 second"),
    retries: options.idempotent === true ? 2 : 0,
    entry: options.entry === undefined ? undefined : String(options.entry),
    bundle: options.bundle === true
  }
  return {
    name,
    worker: kind,
    onPeerGone: "cancel",
    crosses: true,
    drain: Remote.drain,
    // Loaded where it is needed: a worker places nothing.
    place: (handler, server) =>
      Effect.flatMap(
        Effect.promise(() => import("./internal/worker/parent/place.ts")),
        ({ place }) => Effect.catch(place(handler, server, pool), (problem) => fails(name, problem))
      )
  }
}

/** The module of the error loads `effect/Schema`, which a worker has no use for. */
const fails = (policy: string, problem: string): Effect.Effect<never, Policy.PolicyError> =>
  Effect.flatMap(
    Effect.promise(() => import("@socketserver/core/Policy")),
    ({ PolicyError }) => Effect.fail(new PolicyError({ policy, problem, accepted: [] }))
  )

const positive = (head: string, option: string, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`WorkerPolicy: ${option} of ${head} must be a positive integer, not ${value}`)
  }
}
