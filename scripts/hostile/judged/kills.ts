/** Workers and copies that are killed, stopped, continued and restarted; handlers that do what they should not. */
import { at, countsAt, type Figures, type Judged, type Line, listAt, numberAt, textAt } from "./figures.ts"

const named = (line: Line, ...keys: ReadonlyArray<string>): string =>
  keys
    .map((key) => textAt(line, key))
    .filter((text) => text !== "" && text !== "{}")
    .join(" ")

const kills = (line: Line, figures: Figures): void => {
  if ("storm" in line) {
    // There one comes and goes with each request, also while it is counted.
    const passing = textAt(line, "storm") === "process"
    figures
      .of("A16, C5", `kill -9, ${named(line, "storm", "env")}`)
      .is("hung", at(line, "hung"), 0)
      .is("wrong", at(line, "wrong"), 0)
      .often("answered afterwards", numberAt(line, "after", "answered"), 10)
      .is("closed afterwards", at(line, "after", "closed"), 0)
      .is("hung afterwards", at(line, "after", "hung"), 0)
      .least("workers", numberAt(line, "workersAfter"), numberAt(line, "workersBefore"))
      .most("zombies", numberAt(line, "zombies"), passing ? 2 : 0)
      .most("descriptors", numberAt(line, "fds", 1), numberAt(line, "fds", 0) + (passing ? 12 : 2))
      .most("lines", numberAt(line, "stderrLines"), 400)
      .stopped(at(line, "stop"))
    return
  }
  if ("stopped" in line) {
    const copies = at(line, "env", "PREFORK") !== undefined
    figures
      .of("A16, C5", `kill -STOP, ${named(line, "stopped", "env")}`)
      .is("hung", at(line, "hung"), 0)
      .is("wrong", at(line, "wrong"), 0)
      // Of copies another one is started after five seconds: who comes until then may meet the one that is stopped.
      .often("new ones served, of 20", countsAt(line, "freshWhileStopped")["served"] ?? 0, copies ? 14 : 20)
      .least("answered a second meanwhile", numberAt(line, "answeredPerSecond", "until10s"), 1)
      .least("answered a second afterwards", numberAt(line, "answeredPerSecond", "afterCont"), 1)
      .stopped(at(line, "stop"))
    return
  }
  if ("termWithStoppedWorker" in line) {
    figures
      .of("A10", `SIGTERM, one is stopped, ${named(line, "termWithStoppedWorker", "env")}`)
      .stopped(at(line, "stop"), { seconds: numberAt(line, "drainTimeout") + 2 })
      .is("left", at(line, "left"), 0)
    return
  }
  figures.of("C5", `${textAt(line, "group")} to the group, ${named(line, "policy", "env")}`)
  // Where each needs a process of its own, it is also a matter of time.
  if (textAt(line, "policy") === "process") figures.often("answered, of 12", numberAt(line, "answered"), 12)
  else figures.is("answered, of 12", at(line, "answered"), 12)
  figures.is("exit", at(line, "exit"), 0).is("orphans", at(line, "orphans"), 0)
}

/** Of a thread the whole program is the limit: one huge array, or a segmentation fault, ends it, as the page says. */
const endsWithIt = (policy: string, handler: string): boolean =>
  policy.startsWith("thread") && ["array", "segv"].includes(handler)

const handlers = (line: Line, figures: Figures): void => {
  const policy = textAt(line, "policy")
  const handler = textAt(line, "handler")
  const env = at(line, "env")
  figures.of("A10, C5", `${handler}, ${named(line, "policy", "env")}`)
  if (at(env, "WATCHDOG") !== undefined) {
    figures.is("ended by its watchdog", at(line, "alive"), false).says("status", textAt(line, "stop", 1), /^(137|-9)$/)
    return
  }
  if (endsWithIt(policy, handler)) return
  const served = countsAt(line, "others")["served"] ?? 0
  // Of two copies one does not turn: half of those who come meet it.
  figures
    .often("others served, of 6", served, at(env, "PREFORK") === undefined ? 6 : 1)
    .is("alive", at(line, "alive"), true)
  // A thread that cannot be ended takes its program with it, once the stop's time is over.
  const killed = policy.startsWith("thread") && ["exec", "bits", "string", "loop"].includes(handler)
  const drains = textAt(env, "DRAIN_TIMEOUT") === "" ? 10 : Number.parseFloat(textAt(env, "DRAIN_TIMEOUT"))
  figures.stopped(at(line, "stop"), { seconds: drains + 2.5, status: killed ? [0, 137, -9] : [0] })
}

const restarts = (line: Line, figures: Figures): void => {
  for (const entry of listAt(line, "termAfterHupMillis_stop_answered_orphans")) {
    figures
      .of("C10", `SIGTERM ${numberAt(entry, 0)} ms after SIGHUP`)
      .stopped(at(entry, 1), { seconds: 3 })
      .is("answered", at(entry, 2), true)
      .is("orphans", at(entry, 3), 0)
  }
  if ("hupStorm" in line) {
    figures
      .of("C10", "60 × SIGHUP")
      .none("not served", countsAt(line, "bad"))
      .least("children", numberAt(line, "children"), 3)
      .stopped(at(line, "stop"))
  }
  if ("restartInto" in line) {
    const all = (key: string) => listAt(line, key).every((got) => got === true)
    figures
      .of("A16", `a restart into what does ${textAt(line, "restartInto")}`)
      .is("the old ones answer", all("stillAnswers"), true)
      .is("mended, it answers", all("afterMending"), true)
      .is("orphans", at(line, "orphans"), 0)
      .stopped(at(line, "stop"))
  }
  if ("killedDuringRestart" in line) {
    // As Python writes it.
    const { True: yes = 0, ...not } = countsAt(line, "asked")
    figures
      .of("C10", "copies killed during restarts")
      .least("answered", yes, 6)
      .none("not answered", not)
      .is(
        "later",
        listAt(line, "later").every((got) => got === true),
        true
      )
      .stopped(at(line, "stop"))
  }
}

export const kinds: ReadonlyArray<Judged> = [
  {
    name: "h-13",
    runs: [
      { args: ["storm"], seconds: 300, lines: 4 },
      { args: ["stop"], seconds: 300, lines: 4 },
      { args: ["stopterm"], seconds: 200, lines: 4 },
      { args: ["group"], seconds: 300, lines: 16 }
    ],
    judge: kills
  },
  { name: "h-14", runs: [{ seconds: 1_500, lines: 45 }], judge: handlers },
  { name: "h-31", runs: [{ seconds: 300, lines: 5 }], judge: restarts }
]
