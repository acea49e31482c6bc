/** examples/statsd: names without an end, sets without an end, packets of thousands of metrics. */
import { type Subject, usual } from "./run.ts"

const names = (n: number): string => Array.from({ length: 500 }, (_, i) => `name.${n}.${i}:1|c|#a:${n}`).join("\n")
const members = (n: number): string => Array.from({ length: 500 }, (_, i) => `users:${n}-${i}|s`).join("\n")

export const statsd: Subject = {
  name: "statsd",
  udp: true,
  // 10,000 metrics of 1 KB, 100,000 members of sets.
  own: 40,
  warm: { how: "floods", count: 4, text: "a:1|c\nb:12|ms\nc:x|s\n".repeat(200) },
  adversaries: [
    ...usual({
      request: "hits:1|c|@0.5|#env:prod\n",
      half: "hits:1|",
      large: "x".repeat(200_000),
      busy: { median: 60, p99: 500 }
    }),
    {
      name: "names without an end (20)",
      attack: { how: "pushes", count: 20, texts: Array.from({ length: 20 }, (_, n) => `${names(n)}\n`) },
      bounds: { median: 60, p99: 500 }
    },
    {
      name: "members without an end (20)",
      attack: { how: "pushes", count: 20, texts: Array.from({ length: 20 }, (_, n) => `${members(n)}\n`) },
      bounds: { median: 60, p99: 500 }
    },
    {
      name: "packets of 500 names (1000/s)",
      over: "udp",
      attack: { how: "datagrams", rate: 1_000, texts: Array.from({ length: 500 }, (_, n) => names(n)) },
      bounds: { median: 60, p99: 500 }
    },
    { name: "datagrams (5000/s from 200 ports)", over: "udp", attack: { how: "datagrams", text: "hits:1|c" } },
    {
      name: "datagrams of 60 KB (500/s)",
      over: "udp",
      attack: { how: "datagrams", rate: 500, text: ":|c\n".repeat(15_000) },
      bounds: { median: 100, p99: 500 }
    }
  ]
}
