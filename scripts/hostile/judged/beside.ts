/** Adversaries and floods beside a client that behaves well. */
import type { Kind } from "../programs.ts"
import { at, countsAt, type Judged, numberAt, textAt } from "./figures.ts"

/** Where the queue of connections is the system's, who is new may wait for it to try again. */
const crowded = { p99: 1_500, bad: 3 }

export const beside: ReadonlyArray<Judged> = [
  {
    name: "h-01",
    runs: [
      { args: ["", "tcp"], seconds: 500, lines: 10 },
      // Who behaves well comes from the same address there, and shares what handshakes it may have open.
      { args: ["", "tls"], env: { MAX_OPENING: "16384" }, seconds: 600, lines: 15 },
      { args: ["", "unix"], seconds: 500, lines: 10 }
    ],
    judge: (line, figures) => {
      const attack = textAt(line, "case")
      const kind = textAt(line, "kind")
      const connections = Number(/\((\d+)\)/.exec(attack)?.[1] ?? 200)
      const seen = { bad: countsAt(line, "bad"), median: numberAt(line, "med"), p99: numberAt(line, "p99") }
      figures
        .of("A5, B", `${attack} ${kind}`)
        .served(seen, /flood|hellos/.test(attack) ? crowded : {})
        .grown(numberAt(line, "rss", 0), numberAt(line, "rss", 2), { connections, kind: kind as Kind })
        .most("log", numberAt(line, "stderrBytes"), 20_000, " B")
        .stopped(at(line, "stop"))
    }
  },
  {
    name: "h-02",
    runs: [{ seconds: 400, lines: 12 }],
    judge: (line, figures) => {
      const server = textAt(line, "server")
      if (server.startsWith("node:net")) return
      const connections = numberAt(line, "connections")
      // Beside `node:net` by hand, which does the same work there, is a row of our own: here it does none.
      figures
        .of("A5", `${server} ${connections}`)
        .served(at(line, "victim"))
        .soon("longest turn", numberAt(line, "longestTurnCpuMillis"), 75)
        .grown(0, numberAt(line, "rss", 1) - 150, { connections })
        .stopped(at(line, "stop"))
    }
  },
  {
    name: "h-18",
    runs: [
      { args: ["udp"], seconds: 300, lines: 7 },
      { args: ["unix"], seconds: 300, lines: 7 },
      { args: ["spoof"], seconds: 60, lines: 1 }
    ],
    judge: (line, figures) => {
      const kind = textAt(line, "kind")
      if (kind === "") {
        figures.of("A23", "forged sources")
        for (const [who, how] of Object.entries(countsAt(line, "spoofedCpuOfTheNextSecond"))) {
          figures.most(`CPU after ${who}`, numberAt(how, 1), 0.1, " of a core")
        }
        figures
          .is("alive", at(line, "alive"), true)
          .is("lost", at(line, "ask", "lost"), 0)
          .stopped(at(line, "stop"))
        return
      }
      const flood = textAt(line, "flood")
      const syslog = flood.includes("syslog")
      figures.of("B (l, m)", `${kind} ${flood}`)
      const asked = numberAt(line, "beside", "asked")
      const lost = numberAt(line, "beside", "lost")
      // Its handlers take longer than the client waits.
      if (!syslog && !flood.includes("2 s")) {
        // The queue of a socket of datagrams is the system's: over UDP some are lost there.
        figures
          .most("lost", lost, kind === "udp" ? Math.max(6, asked / 20) : 0)
          .soon("median", numberAt(line, "beside", "median"), 15)
      }
      figures
        .grown(numberAt(line, "rss", 0), numberAt(line, "rss", 2), { connections: 2_000 })
        .stopped(at(line, "stop"), { seconds: 11 })
      // What the example of syslog collects it prints.
      if (!syslog) figures.of("A21", `${kind} ${flood}`).most("log", numberAt(line, "logBytes"), 20_000, " B")
    }
  },
  {
    name: "h-19",
    runs: [{ seconds: 200, lines: 5 }],
    judge: (line, figures) => {
      figures
        .of("A22", `${numberAt(line, "unreading")} that read nothing, ${numberAt(line, "size")} B`)
        .says("a client from before", textAt(line, "oldClient"), /^8 of 8/)
        .says("new clients", textAt(line, "newClients"), /^8 of 8/)
        .says("5 s later", textAt(line, "newClients5sLater"), /^8 of 8/)
        .stopped(at(line, "stop"))
    }
  }
]
