/** examples/syslog: lengths that lie, structured data without an end, lines without an end. */
import { type Subject, usual } from "./run.ts"

const message = "<13>1 2003-10-11T22:14:15.003Z host app - - - text\n"

export const syslog: Subject = {
  name: "syslog",
  udp: true,
  warm: { how: "floods", count: 2, text: message.repeat(100) },
  adversaries: [
    ...usual({
      request: message,
      half: "<13>1 - host app - - - half of ",
      large: `<13>${"x".repeat(200_000)}`,
      // Each line is on disk before the next one is read.
      busy: { median: 60, p99: 500 }
    }),
    {
      name: "lengths that do not come (500)",
      attack: { how: "drips", count: 500, first: "65000 <13>1 - - - - - - ", text: "x" }
    },
    {
      name: "structured data without an end (100/s)",
      attack: { how: "bombs", text: `<13>1 - h a - - [a ${'b="c" '.repeat(10_000)}\n` }
    },
    {
      name: "framings in turn (8)",
      attack: { how: "pushes", count: 8, text: `10 <13>123456${message}`.repeat(200) },
      bounds: { median: 60, p99: 500 }
    },
    {
      name: "datagrams (5000/s from 200 ports)",
      over: "udp",
      attack: { how: "datagrams", text: message },
      bounds: { median: 60, p99: 250 }
    },
    {
      name: "datagrams of 60 KB (500/s)",
      over: "udp",
      attack: { how: "datagrams", rate: 500, text: `<13>1 - - - - - - ${"x\n".repeat(30_000)}` },
      bounds: { median: 60, p99: 500 }
    }
  ]
}
