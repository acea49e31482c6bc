/** What stays behind: connections, requests, descriptors, memory, processes, datagrams without an answer. */
import { at, countsAt, type Judged, numberAt, textAt } from "./figures.ts"

/** What the soak had at its start. */
let first: unknown

export const staying: ReadonlyArray<Judged> = [
  {
    name: "h-20",
    runs: [
      { args: ["75"], seconds: 200, lines: 5 },
      { args: ["75", "pool:2"], seconds: 200, lines: 5 }
    ],
    judge: (line, figures, args) => {
      const when = at(line, "at")
      const what = args.join(" ")
      if (when === 0) first = line
      if (when === "end") {
        figures
          .of("A3, C7", what)
          .is("connections", at(line, "connections"), 0)
          .most("descriptors", numberAt(line, "fds"), numberAt(first, "fds") + 2)
          .most(
            "sockets",
            countsAt(line, "kinds")["TCPSocketWrap"] ?? 0,
            countsAt(first, "kinds")["TCPSocketWrap"] ?? 0
          )
          .most("heap", numberAt(line, "heap"), numberAt(first, "heap") + 15, " MB")
          .grown(numberAt(first, "rss"), numberAt(line, "rss"), { connections: 100 })
      }
      if ("stderrBytes" in line) {
        figures.of("A21", what).most("log", numberAt(line, "stderrBytes"), 300_000, " B").stopped(at(line, "stop"))
      }
    }
  },
  {
    name: "h-23",
    runs: ["tls", "tcp", "unix"].map((kind) => ({ args: [kind, "60"], seconds: 400, lines: 1 })),
    judge: (line, figures) => {
      if ("stay" in line) {
        figures.of("A3", `${textAt(line, "kind")} ${textAt(line, "sent")}, ${textAt(line, "leaves")}`)
        figures.is("stay", at(line, "stay"), 0)
        return
      }
      figures
        .of("A3", textAt(line, "kind"))
        .is("connections left", at(line, "connectionsLeft"), 0)
        .stopped(at(line, "stop"), { seconds: 1 })
    }
  },
  {
    name: "h-28",
    runs: [{ seconds: 250, lines: 5 }],
    judge: (line, figures) => {
      if ("udp" in line) {
        figures
          .of("A15", `UDP, ${numberAt(line, "restarts")} restarts, ${textAt(line, "delay")}`)
          .is("not answered", at(line, "unanswered"), 0)
          .stopped(at(line, "stop"))
        return
      }
      const processes = numberAt(line, "processes")
      // Forty, their parent, and the shell that watches over them.
      figures
        .of("A20", textAt(line, "process"))
        .most("processes", processes, 42)
        .most("memory that is not shared", numberAt(line, "pssMiB"), 1.25 * 80 * processes, " MiB")
        .stopped(at(line, "stop"))
    }
  },
  {
    name: "h-32",
    runs: [{ seconds: 400, lines: 7 }],
    judge: (line, figures) => {
      figures
        .of("A1", `${textAt(line, "policy")} ${textAt(line, "env")} ${numberAt(line, "streamKiB")} KiB`)
        .is("stood still after", at(line, "stoppedAfterSeconds"), null)
        .is("somebody else served", at(line, "anotherClientServed"), true)
        .least("rounds", numberAt(line, "rounds"), 100)
        .stopped(at(line, "stop"))
    }
  },
  {
    name: "h-33",
    runs: [{ seconds: 300, lines: 3 }],
    judge: (line, figures) => {
      figures
        .of("A3", `${textAt(line, "policy")}, ${numberAt(line, "attackSeconds")} s`)
        .is("connections that the system knows", at(line, "establishedAfterwards"), 0)
        .most("descriptors", numberAt(line, "fds"), 48)
        .is("somebody new", at(line, "newClient"), "slow\n")
        .stopped(at(line, "stop"))
    }
  }
]
