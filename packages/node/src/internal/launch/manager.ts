/** Who has started this program and wants to hear how it does, such as systemd: `sd_notify(3)`. */

/**
 * A service manager, which is told of each step of a program's life. What it is
 * told with is loaded when there is one, and what is said before waits for that.
 */
export class Manager {
  /** Within what time it wants a sign of life; `undefined` if it wants none. */
  readonly silenceMillis: number | undefined
  private readonly waiting: Array<string> = []
  private send: ((message: string) => void) | undefined = undefined
  private stops = false
  /** Whether the program has started. */
  isReady = false

  constructor(socket: string, silenceMillis: number | undefined) {
    this.silenceMillis = silenceMillis
    void import("./notify.ts").then(({ notify }) =>
      notify(socket, (send) => {
        this.send = send
        for (const message of this.waiting.splice(0)) send(message)
      })
    )
  }

  /** The program has started, or has begun anew: what it is asked it can answer. */
  ready(): void {
    this.isReady = true
    // What was begun before the stop does not take back that it stops.
    if (!this.stops) this.tell("READY=1")
  }

  /** It begins anew; {@link ready} follows, however that ends. */
  reloading(): void {
    if (this.stops) return
    // The time tells the manager which `READY=1` is the answer to its request. It is CLOCK_MONOTONIC on Linux.
    this.tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`)
  }

  /** Its stop begins, or is near. */
  stopping(): void {
    if (this.stops) return
    this.stops = true
    this.tell("STOPPING=1")
  }

  /** From now on it is shown, as often as it wants, that the event loop turns, and that what depends on it does. */
  watch(isAlive: () => boolean): void {
    if (this.silenceMillis === undefined) return
    const beat = () => {
      if (isAlive()) this.tell("WATCHDOG=1")
    }
    setInterval(beat, Math.min(longestMillis, this.silenceMillis / 2)).unref()
  }

  private tell(message: string): void {
    if (this.send === undefined) this.waiting.push(message)
    else this.send(message)
  }
}

/** What a timer can hold. */
const longestMillis = 2 ** 31 - 1

/**
 * The manager of this program, if it has one that listens. Its variables are taken
 * out of the environment: what this program starts is not its to hear of.
 */
export const takeManager = (env: NodeJS.ProcessEnv = process.env, pid: number = process.pid): Manager | undefined => {
  const { NOTIFY_SOCKET: socket, WATCHDOG_PID: watched, WATCHDOG_USEC: micros } = env
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"]) delete env[name]
  if (socket === undefined || socket === "") return undefined
  const isWatched = /^[1-9]\d{0,15}$/.test(micros ?? "") && (watched === undefined || watched === String(pid))
  return new Manager(socket, isWatched ? Number(micros) / 1_000 : undefined)
}
