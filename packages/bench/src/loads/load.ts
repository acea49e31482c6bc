/** What a load is told, and what every kind of it gives. */

export interface Task {
  readonly kind: "tape" | "udp" | "dns" | "unixgram" | "short" | "broadcast" | "redis" | "http" | "rpc"
  /** A port on this machine, or a path. */
  readonly target: string
  readonly transport: "tcp" | "tls" | "unix"
  readonly connections: number
  /** Requests outstanding for each connection. */
  readonly depth: number
  readonly message: "line" | "frame" | "json" | "bytes"
  /** Bytes of a message on the wire. */
  readonly size: number
  readonly warmUp: number
  /** Seconds of CPU that a server has to have used before the window, so that it is compiled: on a busy machine that takes longer. */
  readonly cold: number
  /** How long the window is. */
  readonly seconds: number
  /** The processes whose CPU is counted. */
  readonly pids: ReadonlyArray<number>
  /** Open connections, ask one thing on each, and keep them. */
  readonly hold?: boolean
}

/** Several servers under load, of which one at a time runs: each of them in every turn, the others are stopped meanwhile. */
export interface Turns {
  readonly tasks: ReadonlyArray<Task>
  readonly turns: number
}

export interface Load {
  /** Requests that were answered, and rightly. */
  readonly completed: () => number
  /** Which connection has had no answer since the last time this was asked. */
  readonly starved: () => number | undefined
  /** Which connection has had no answer since the time before. */
  readonly stillStarved: () => number | undefined
  readonly close: () => void
}

/** Opens the connections of a task and keeps them busy. What goes wrong is told to `giveUp`. */
export type Open = (task: Task, giveUp: (reason: string) => void) => Promise<Load>

export interface Broken {
  readonly broken: string
}

export interface Report {
  readonly requests: number
  readonly seconds: number
  /** Seconds of CPU of the processes that were to be counted, and of the load. */
  readonly cpu: number
  readonly loadCpu: number
  /** Seconds of CPU of everything else on this machine, stolen time included. */
  readonly othersCpu: number
}

/** What one of several took: CPU for each request, turn by turn. */
export interface Turned {
  readonly costs: ReadonlyArray<number>
  readonly seconds: number
  readonly othersCpu: number
}

/** For loads that count by connection: whoever has not come further is starved. */
export const counting = (
  clients: ReadonlyArray<{ readonly completed: number }>
): Pick<Load, "completed" | "starved" | "stillStarved"> => {
  let before = clients.map(() => 0)
  let last = before
  const behind = (then: ReadonlyArray<number>) => {
    const index = clients.findIndex(({ completed }, i) => completed === then[i])
    return index === -1 ? undefined : index
  }
  return {
    completed: () => clients.reduce((sum, { completed }) => sum + completed, 0),
    starved: () => {
      before = last
      last = clients.map(({ completed }) => completed)
      return behind(before)
    },
    stillStarved: () => behind(before)
  }
}
