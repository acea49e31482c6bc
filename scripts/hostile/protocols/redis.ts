/** examples/redis: bombs of depth and of length, arrays drop by drop, replies that nobody reads, transactions without an end. */
import { type Subject, usual } from "./run.ts"

const command = (...words: ReadonlyArray<string>): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`

const large = "x".repeat(100_000)
/** What is asked for by who does not read. */
const set = command("SET", "large", large)

export const redis: Subject = {
  name: "redis",
  env: { MAX_STORE: "32MiB" },
  // Its keys, and what subscribers have not read.
  own: 32 + 64,
  warm: { how: "floods", count: 4, text: command("SET", "a", "1").repeat(500) },
  adversaries: [
    ...usual({
      request: command("GET", "a"),
      half: "*2\r\n$3\r\nGET\r\n$5\r\nlar",
      large: `*2\r\n$3\r\nGET\r\n$1048577\r\n${"x".repeat(70_000)}`,
      // A thousand commands of a turn are answered before others have theirs.
      busy: { p99: 250 }
    }),
    {
      name: "replies of 100 KB unread (50)",
      attack: { how: "pushes", count: 50, first: set, text: command("GET", "large").repeat(100) }
    },
    { name: "bombs of depth (100/s)", attack: { how: "bombs", text: "*1\r\n".repeat(50_000) } },
    {
      name: "lengths that do not come (500)",
      attack: { how: "drips", count: 500, first: "*1048576\r\n$1048576\r\n", text: "x" }
    },
    {
      name: "words drop by drop (500)",
      attack: { how: "drips", count: 500, first: "*1048576\r\n", text: "$1\r\nx\r\n" }
    },
    {
      name: "transactions without an end (50)",
      attack: { how: "pushes", count: 50, first: "MULTI\r\n", text: command("SET", "a", "x".repeat(1_000)).repeat(30) },
      bounds: { p99: 250 }
    },
    {
      name: "channels without an end (50)",
      attack: {
        how: "pushes",
        count: 50,
        texts: Array.from({ length: 50 }, (_, n) =>
          Array.from({ length: 100 }, (_, i) => command("SUBSCRIBE", `${n}-${i}-${"x".repeat(300)}`)).join("")
        )
      },
      bounds: { p99: 250 }
    },
    {
      name: "subscribers that do not read (50)",
      attack: {
        how: "pushes",
        count: 50,
        first: command("HELLO", "3") + command("SUBSCRIBE", "c"),
        text: command("PUBLISH", "c", "x".repeat(1_000))
      },
      bounds: { median: 60, p99: 500 }
    },
    {
      name: "patterns that take long (20)",
      attack: { how: "pushes", count: 20, text: command("KEYS", `${"*a".repeat(2_000)}b`) },
      bounds: { median: 100, p99: 500 }
    }
  ]
}
