/** Peers that hold what others want: places of a policy, places of a server, its descriptors. */
import { at, countsAt, type Figures, type Judged, type Line, listAt, numberAt, textAt } from "./figures.ts"

/** What a newcomer got, `b'hello\n' after 0.00 s`, within so many seconds. */
const answered = (figures: Figures, name: string, text: string, seconds: number): void => {
  const [, got = "", after = "NaN"] = /^(.*) after ([\d.]+) s$/.exec(text) ?? []
  figures.says(name, got, /^b'.*\\n'$/).soon(`${name}, after`, Number(after), seconds, " s")
}

/** A place for one is held for `PLACE_TIMEOUT` while somebody waits, and looked at once a second. */
const placeSeconds = 3
const exclusive = placeSeconds + 1.5

/** Under these a reply that is not read keeps its place from others. */
const exclusively = /^(sequential|thread|pool)/

const slots = (line: Line, figures: Figures): void => {
  if ("chat" in line) {
    figures
      .of("A4", "the 1,025th guest of a chat")
      .says("he is told", textAt(line, "said"), /^b'.+/)
      .soon("after", numberAt(line, "after"), 6, " s")
      .stopped(at(line, "stop"))
    return
  }
  if ("unfair" in line) {
    // One that is running has to end, then it is its own second.
    figures.of("A14", textAt(line, "unfair"))
    answered(figures, "somebody else", textAt(line, "after"), 2.5)
    return
  }
  if ("queue" in line) {
    figures.of("A14", textAt(line, "queue"))
    // Handlers of 20 seconds have all workers: nobody is answered while he waits, and nobody is closed.
    for (const [i, text] of listAt(line, "after").entries()) {
      figures.says(`somebody else ${i + 1}`, String(text), /^(Timeout|b'.*\\n')/)
    }
    figures.stopped(at(line, "stop"))
    return
  }
  const policy = textAt(line, "policy")
  figures.of("A4", `streams unread, ${policy}, ${textAt(line, "attacker")} ${textAt(line, "env")}`)
  const within = exclusively.test(policy) ? exclusive : 0.075
  for (const [i, text] of listAt(line, "after").entries())
    answered(figures, `somebody else ${i + 1}`, String(text), within)
  figures.grown(150, numberAt(line, "rss", 1), { connections: 8 }).stopped(at(line, "stop"))
}

const places = (line: Line, figures: Figures): void => {
  figures.of("A13", textAt(line, "case"))
  const now = at(line, "now")
  const all = [...(Array.isArray(now) ? now : now === undefined ? [] : [now])]
  for (const key of ["after30s", "after6s", "after15s", "after12s"]) if (key in line) all.push(at(line, key))
  for (const [i, text] of all.entries()) figures.says(`somebody else ${i + 1}`, String(text), /^served/)
  const seen = countsAt(line, "seen")
  if ("seen" in line) figures.none("not served", { ...seen, served: 0 }).least("served", seen["served"] ?? 0, 10)
  const tls = textAt(line, "case").includes("tls")
  // Of the second what it is now, and at most.
  const peak = numberAt(line, "rss", 1, 1)
  if (!Number.isNaN(peak)) figures.grown(numberAt(line, "rss", 0, 0), peak, { connections: 4_096 })
  else if ("rss" in line)
    figures.grown(150, numberAt(line, "rss", 1), { connections: 4_096, kind: tls ? "tls" : "tcp" })
  figures.stopped(at(line, "stop"))
}

export const holding: ReadonlyArray<Judged> = [
  {
    name: "h-03",
    runs: [
      { args: ["a", "b", "c", "d"], seconds: 400, lines: 4 },
      // Who asks there waits for eight seconds, less than the default of ten.
      { args: ["e", "f"], env: { PLACE_TIMEOUT: `${placeSeconds}s` }, seconds: 400, lines: 7 }
    ],
    judge: slots
  },
  { name: "h-04", runs: [{ seconds: 500, lines: 7 }], judge: places },
  {
    name: "h-11",
    runs: [{ seconds: 500, lines: 7 }],
    judge: (line, figures) => {
      figures
        .of("A12", `${textAt(line, "kind")} ${textAt(line, "policy") || "fiber"} ${textAt(line, "env")}`)
        .is("alive", at(line, "alive"), true)
        .most("CPU while full", numberAt(line, "cpuWhileFull"), 0.1, " of a core")
        // That it has started, and that descriptors are few: of which the case shows the first alone.
        .least("lines", numberAt(line, "stderrLines"), 2)
        .most("lines", numberAt(line, "stderrLines"), 60)
        // `process` starts one for each, and who asks waits for 0.3 s.
        .often("served afterwards, of 5", countsAt(line, "afterwards")["served"] ?? 0, 5)
        .stopped(at(line, "stop"))
    }
  }
]
