/** What must hold, as ratios of server CPU per request within one round. */
export interface Target {
  readonly server: string
  readonly against: string
  readonly depth: number
  readonly atMost: number
}

export const targets: ReadonlyArray<Target> = [
  { server: "socketserver", against: "node-net", depth: 1, atMost: 1.25 },
  { server: "socketserver", against: "node-net", depth: 16, atMost: 1.6 },
  { server: "socketserver-yield", against: "node-net", depth: 16, atMost: 3 },
  { server: "socketserver", against: "effect-socket", depth: 1, atMost: 1 },
  { server: "socketserver", against: "effect-socket", depth: 16, atMost: 1 }
]
