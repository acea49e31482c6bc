/** examples/dns: floods of datagrams, pointers in a circle, five thousand questions, answers that nobody reads. */
import { type Subject, usual } from "./run.ts"

const uint16 = (number: number): string => String.fromCharCode(number >> 8, number & 255)
const header = (questions: number, flags = 0x0100): string =>
  uint16(7) + uint16(flags) + uint16(questions) + "\0".repeat(6)
const name = (text: string): string =>
  `${text
    .split(".")
    .map((label) => String.fromCharCode(label.length) + label)
    .join("")}\0`
const query = (of: string, type: number): string => `${header(1)}${name(of)}${uint16(type)}\0\x01`
const framed = (message: string): string => uint16(message.length) + message

const loop = `${header(1)}\xc0\x0c\0\x01\0\x01`
const many = `${header(5_000)}${"\0\0\x01\0\x01".repeat(5_000)}`
const response = query("host.example", 1).replace("\x01\0", "\x81\0")
const noise = Array.from({ length: 50 }, (_, n) =>
  Array.from({ length: 12 + n * 10 }, (_, i) => String.fromCharCode((i * 7_919 + n * 104_729) & 255)).join("")
)

export const dns: Subject = {
  name: "dns",
  udp: true,
  warm: { how: "floods", count: 4, text: framed(query("big.example", 16)).repeat(100) },
  adversaries: [
    ...usual({
      request: framed(query("big.example", 16)),
      half: framed(query("big.example", 16)).slice(0, 20),
      large: framed("x".repeat(65_535)),
      // Each answer has 4 KB, and is written anew.
      busy: { median: 60, p99: 500 }
    }),
    { name: "pointers in a circle (100/s)", attack: { how: "bombs", text: framed(loop).repeat(100) } },
    { name: "5000 questions (100/s)", attack: { how: "bombs", text: framed(many) } },
    {
      name: "queries (5000/s from 200 ports)",
      over: "udp",
      attack: { how: "datagrams", text: query("host.example", 1) }
    },
    { name: "queries for much (5000/s)", over: "udp", attack: { how: "datagrams", text: query("big.example", 16) } },
    { name: "no bytes (5000/s)", over: "udp", attack: { how: "datagrams", text: "" } },
    {
      name: "responses, and pointers in a circle (5000/s)",
      over: "udp",
      attack: { how: "datagrams", texts: [response, loop] }
    },
    { name: "noise (5000/s)", over: "udp", attack: { how: "datagrams", texts: noise } },
    {
      name: "5000 questions as a datagram (1000/s)",
      over: "udp",
      attack: { how: "datagrams", rate: 1_000, text: many }
    }
  ]
}
