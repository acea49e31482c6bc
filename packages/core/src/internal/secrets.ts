/**
 * An endpoint's text as it may be shown: without who logs in, and without options
 * that are secret. They have no place there, and are shown where that is said.
 *
 * The one function of its kind: errors that show such a text go through it.
 */
export const withoutSecrets = (text: string): string =>
  text.replaceAll(user, "$1***@").replaceAll(secret, "$1***").replaceAll(privateKey, "$1***")

/** Whether somebody logs in, or seems to. */
export const hasUser = (text: string): boolean => text.search(user) !== -1

/** Where the next of several endpoints begins. */
const next = String.raw`[\s,][a-z][a-z0-9+.-]*:\/\/`

/** A name, or one with a password, which may have any character; and no host with a port. */
const login = String.raw`(?!(?:\[[^\]\s]*\]|[^:@/?#\s]*):\d{1,5}(?:[/?#,\s]|$))(?:[^:@/?#\s"]+|[^:@/?#\s"]*:(?:(?!${next}).)+)@`

/** Behind the scheme, or where somebody wrote none. An abstract name has an `@` of its own. */
const user = new RegExp(
  String.raw`(:\/\/|(?:^|[\s,"])(?!(?:unix|unixgram|memory):|[a-z][a-z0-9+.-]*:\/\/))${login}`,
  "gis"
)

const value = String.raw`(?:(?!${next})[^&])*`

const secret = new RegExp(String.raw`([?&][^=&]*(?:pass|pwd|secret|token|credential)[^=&]*=)${value}`, "gis")

const privateKey = new RegExp(String.raw`([?&][^=&]*=)(?=${value}PRIVATE)${value}`, "gis")
