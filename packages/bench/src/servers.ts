/** The servers that are measured, in the order of a round. The first is the baseline. */
export const servers: ReadonlyArray<{ readonly name: string; readonly what: string }> = [
  { name: "node-net", what: "hand-written on node:net, one write per chunk read (the baseline)" },
  { name: "node-net-yield", what: "the same, each answer one setImmediate later" },
  { name: "effect-socket", what: "Effect's NodeSocketServer, hand-written lines, one write per pull" },
  { name: "effect-socket-yield", what: "the same, each line's handler an Effect that yields once" },
  { name: "socketserver", what: "ours, default policy, the handler answers at once" },
  { name: "socketserver-yield", what: "ours, default policy, the handler yields once" },
  { name: "socketserver-sequential", what: "ours, one request at a time" }
]

export const baseline = "node-net"

/**
 * The servers that `--only` names: a whole name means that server, any other text every name that contains it.
 * The baseline is always among them.
 */
export const select = (only: string | undefined): ReadonlyArray<string> => {
  const names = servers.map(({ name }) => name)
  if (only === undefined) return names
  const terms = only
    .split(",")
    .map((term) => term.trim())
    .filter((term) => term !== "")
  return names.filter(
    (name) => name === baseline || terms.some((term) => (names.includes(term) ? name === term : name.includes(term)))
  )
}
