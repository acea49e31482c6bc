/** What peers make a server hold, and what one of them cannot end. */
import { at, type Judged, numberAt, textAt } from "./figures.ts"

/** With the defaults on a machine that has enough. */
const atMost = 512

/** It has gone on, others were served, and it ends when asked to. */
const alive = (line: unknown, other: unknown): ReadonlyArray<readonly [string, unknown, unknown]> => [
  ["ended by itself", at(line, "exit"), null],
  ["somebody else", at(line, "other"), other]
]

export const memory: ReadonlyArray<Judged> = [
  {
    name: "h-05",
    runs: [{ seconds: 300, lines: 8 }],
    judge: (line, figures) => {
      const connections = numberAt(line, "connections")
      figures.of("A2, A8", `${textAt(line, "handler")} ${numberAt(line, "reply")} B × ${connections}`)
      for (const [name, value, wanted] of alive(line, true)) figures.is(name, value, wanted)
      figures.grown(numberAt(line, "rssBefore"), numberAt(line, "rss", 1), { connections }).stopped(at(line, "stop"))
    }
  },
  {
    name: "h-06",
    runs: [{ seconds: 200, lines: 3 }],
    judge: (line, figures) => {
      figures.of("A2", textAt(line, "policy"))
      for (const [name, value, wanted] of alive(line, "accepted")) figures.is(name, value, wanted)
    }
  },
  {
    name: "h-07",
    runs: [{ seconds: 90, lines: 1 }],
    judge: (line, figures) => {
      figures.of("A2", "compose")
      for (const [name, value, wanted] of alive(line, "accepted")) figures.is(name, value, wanted)
      figures.grown(numberAt(line, "rssBefore", 0), numberAt(line, "peak", 1), { connections: 1 })
    }
  },
  {
    name: "h-08",
    runs: [{ seconds: 120, lines: 2 }],
    judge: (line, figures) => {
      figures.of("A2", textAt(line, "handler"))
      for (const [name, value, wanted] of alive(line, "accepted")) figures.is(name, value, wanted)
      figures.grown(150, numberAt(line, "rss", 1), { connections: 1 })
    }
  },
  {
    name: "h-09",
    runs: [{ seconds: 400, lines: 12 }],
    judge: (line, figures) => {
      figures
        .of("A7", `${textAt(line, "protocol")} ${textAt(line, "what")}`)
        .grown(numberAt(line, "rss", 0), numberAt(line, "rss", 2), { connections: numberAt(line, "connections") })
    }
  },
  {
    name: "h-10",
    // One at a time: what the others have left open takes up the descriptors of the case itself.
    runs: ["lines", "wide", "prefixed", "newlines"].map((args) => ({ args: [args], seconds: 150, lines: 1 })),
    judge: (line, figures) => {
      figures
        .of("A9", textAt(line, "frames"))
        .says("stopped by", textAt(line, "stoppedBy"), /^time$/)
        .grown(numberAt(line, "rssBefore"), numberAt(line, "rssTop"), { connections: 4_096 })
        .most("grown with the defaults", numberAt(line, "rssTop") - numberAt(line, "rssBefore"), atMost, " MiB")
    }
  }
]
