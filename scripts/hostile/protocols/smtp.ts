/** examples/smtp: who talks before the greeting, messages without an end, lines without an end, recipients by the thousand. */
import { type Subject, usual } from "./run.ts"

const hello = "EHLO client.example\r\n"
const envelope = `${hello}MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n`
/** Who says something before the greeting hears nothing else. */
const settle = 600

export const smtp: Subject = {
  name: "smtp",
  whole: true,
  // One in twenty of what is asked is a message that has to be on disk.
  bounds: { p99: 250 },
  warm: { how: "floods", count: 4, first: "", settle, text: `${envelope}text\r\n.\r\n` },
  adversaries: [
    ...usual({
      request: "HELP\r\n",
      half: "MAIL FROM:<a@exa",
      large: `${"x".repeat(100_000)}\r\n`,
      first: ""
    }).map((adversary) => ({ ...adversary, attack: { settle, ...adversary.attack } })),
    { name: "talks early (300/s)", attack: { how: "bombs", rate: 300, text: hello } },
    {
      name: "messages, again and again (8)",
      attack: { how: "floods", count: 8, first: "", settle, text: `${envelope}Subject: a\r\n\r\ntext\r\n.\r\n` },
      bounds: { median: 100, p99: 500 }
    },
    {
      name: "messages without an end (20)",
      attack: { how: "pushes", count: 20, first: "", settle, text: `${".a\r\n".repeat(5_000)}` },
      bounds: { p99: 250 }
    },
    {
      name: "messages that end nowhere (20)",
      attack: { how: "pushes", count: 20, first: envelope, settle, text: "a line\n.\n".repeat(1_000) },
      bounds: { p99: 250 }
    },
    {
      name: "headers without an end (20)",
      attack: { how: "pushes", count: 20, first: envelope, settle, text: "X: y\r\n".repeat(5_000) },
      bounds: { median: 60, p99: 500 }
    },
    {
      name: "a message drop by drop (500)",
      attack: { how: "drips", count: 500, first: envelope, settle, text: "a\r\n.\r\n" }
    },
    {
      name: "recipients without an end (50)",
      attack: {
        how: "pushes",
        count: 50,
        first: `${hello}MAIL FROM:<>\r\n`,
        settle,
        text: "RCPT TO:<b@example.org>\r\n".repeat(1_000)
      }
    },
    {
      name: "addresses that are hard to read (100/s)",
      attack: {
        how: "bombs",
        first: hello,
        settle,
        text: `MAIL FROM:<${'"'.repeat(200)}@${"a.".repeat(100)}>\r\n`.repeat(20)
      }
    }
  ]
}
