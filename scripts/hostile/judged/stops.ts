/** Signals at odd moments, what happens to paths, and times that no timer takes. */
import { at, countsAt, type Figures, type Judged, type Line, listAt, numberAt, textAt } from "./figures.ts"

const odd = (line: Line, figures: Figures): void => {
  if ("termDuringStart" in line) {
    const exits = Object.keys(countsAt(line, "exits"))
    figures
      // Before the program is loaded the signal is the system's.
      .of("A23, C10", `SIGTERM during the start, ${textAt(line, "termDuringStart")} ${textAt(line, "env")}`)
      .is(
        "ends with something else",
        exits.filter((key) => !/^(0|-15|0 after listening)$/.test(key)),
        []
      )
      .is("orphans", at(line, "orphans"), 0)
      .soon("slowest", numberAt(line, "slowest"), 2, " s")
    return
  }
  if ("twice" in line) {
    figures
      .of("C10", `${textAt(line, "twice")}, ${textAt(line, "policy")} ${textAt(line, "env")}`)
      // Who does not end within a second of the second one is killed: threads that still start, on a busy machine.
      .inTime("exit", textAt(line, "exit"), /^(130|143)$/)
      .soon("after", numberAt(line, "seconds"), 2, " s")
      .is("orphans", at(line, "orphans"), 0)
    return
  }
  if ("termWhileWorkersStart" in line) {
    figures
      .of("A11", textAt(line, "termWhileWorkersStart"))
      // Forty processes that start are also a matter of time.
      .often(
        "answered, of 20",
        numberAt(line, "answered"),
        textAt(line, "termWhileWorkersStart") === "process" ? 20 : 0
      )
      .least(
        "answered, of 20",
        numberAt(line, "answered"),
        textAt(line, "termWhileWorkersStart") === "process" ? 0 : 20
      )
      .is("exit", at(line, "exit"), 0)
      .soon("after", numberAt(line, "seconds"), 11, " s")
      .is("orphans", at(line, "orphans"), 0)
    return
  }
  if ("hup" in line) {
    figures
      .of("C10", `10 × SIGHUP under load, ${textAt(line, "hup")} ${textAt(line, "policy")}`)
      .none("refused", countsAt(line, "refused"))
      .none("lost", countsAt(line, "lost"))
      .is("not answered", numberAt(line, "fresh") - numberAt(line, "answered"), 0)
      .is("children", at(line, "childrenAtEnd"), at(line, "childrenAtStart"))
      .stopped(at(line, "stop"))
    return
  }
  figures
    .of("C10", `SIGTERM during ${textAt(line, "termDuringHandshake") || "a PROXY header"}`)
    .stopped(at(line, "stop"), { seconds: 1 })
}

export const stopping: ReadonlyArray<Judged> = [
  {
    name: "h-15",
    runs: [{ seconds: 300, lines: 42 }],
    judge: (line, figures) => {
      const precious = at(line, "kept")
      figures
        .of("A6", `${textAt(line, "scheme")} ${textAt(line, "env")} ${textAt(line, "change")}`)
        .says("what was asked", textAt(line, "inFlight"), /asked$/)
        .is("exit", at(line, "exit"), 0)
        .soon("after", numberAt(line, "seconds"), 11, " s")
      if (typeof precious === "string") figures.is("a file of others", precious, "precious")
    }
  },
  {
    name: "h-17",
    runs: [
      { args: ["start"], seconds: 300, lines: 4 },
      { args: ["twice"], seconds: 300, lines: 20 },
      { args: ["handshake"], seconds: 60, lines: 4 },
      { args: ["worker"], seconds: 90, lines: 3 },
      { args: ["hup"], seconds: 400, lines: 4 }
    ],
    judge: odd
  },
  {
    name: "h-21",
    runs: [{ seconds: 120, lines: 6 }],
    // 32,767 seconds is what the system takes.
    refused: { row: "A17", says: /keepAlive/ },
    judge: (line, figures) => {
      const what = textAt(line, "what")
      figures
        .of("A17", what)
        .is("answered, of 2", listAt(line, "answers").filter((got) => String(got).endsWith(": x\n")).length, 2)
        .is("a connection that does nothing", at(line, "idleConnection"), "open")
        .says("what is in flight at the stop", textAt(line, "inFlightAtStop"), /: late\n$/)
        .stopped(at(line, "stop"), { seconds: 2 })
    }
  }
]
