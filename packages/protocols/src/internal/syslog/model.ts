/** What a message is: `Syslog` has these as its own. */

/** In the order of their numbers. */
export const severities = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] as const

/** In the order of their numbers. */
export const facilities = [
  "kern",
  "user",
  "mail",
  "daemon",
  "auth",
  "syslog",
  "lpr",
  "news",
  "uucp",
  "cron",
  "authpriv",
  "ftp",
  "ntp",
  "audit",
  "alert",
  "clock",
  "local0",
  "local1",
  "local2",
  "local3",
  "local4",
  "local5",
  "local6",
  "local7"
] as const

export type Severity = (typeof severities)[number]
export type Facility = (typeof facilities)[number]

/** An element of structured data: `[id name="value" …]`. */
export interface Element {
  readonly id: string
  /** In their order; a name may be there more than once. */
  readonly params: ReadonlyArray<readonly [name: string, value: string]>
}

export interface Message {
  /** The form in which it came. What has a priority and is none of RFC 5424 is one of RFC 3164. */
  readonly rfc: "5424" | "3164"
  readonly facility: Facility
  readonly severity: Severity
  /** As it stands there: `2026-11-24T20:55:57.449371+01:00`, or `Nov 24 20:55:57` without a year and a zone. */
  readonly timestamp: string | undefined
  readonly host: string | undefined
  /** The program: APP-NAME, or the TAG of RFC 3164. */
  readonly app: string | undefined
  readonly procid: string | undefined
  /** Only in RFC 5424. */
  readonly msgid: string | undefined
  /** Only in RFC 5424. */
  readonly data: ReadonlyArray<Element>
  /** Without a byte order mark, and without what ends it: newlines and NULs. It may have several lines. */
  readonly text: string
}

/** How many parameters and elements structured data may have in all. */
export const mostParams = 512
