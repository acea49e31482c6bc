/** What a link does to what is sent over it, as plain numbers, so that it can be drawn, printed and shrunk. */
export interface Link {
  /** How long a piece travels, in milliseconds. */
  readonly latency: number
  /** How much longer at most, by chance, in milliseconds. Nothing is overtaken. */
  readonly jitter: number
  /** The smallest and the largest piece that travels alone, in bytes. */
  readonly chunk: readonly [min: number, max: number]
  /** What the system of the receiver holds that was not read, in bytes. */
  readonly window: number
  /** How much may be unsent before a writer is told to wait, in bytes. */
  readonly highWater: number
  /** Bytes a second. */
  readonly rate: number
  /** Whether pieces that wait to be read are read as one. */
  readonly joins: boolean
  /** Whether closing while the peer still sends may cost the peer what was written before, as with TCP. */
  readonly resetsOnClose: boolean
  /** Whether, after a reset with something unsent, only the end of the input is told: no error, no drain, no close. */
  readonly forgets: boolean
  /** Of datagrams: how many of one are lost, arrive twice, arrive late or cut short. */
  readonly loss: number
  readonly twice: number
  readonly late: number
  readonly cut: number
}

export const perfect: Link = {
  latency: 0,
  jitter: 0,
  chunk: [1, Infinity],
  window: 65_536,
  highWater: 0,
  rate: Infinity,
  joins: false,
  resetsOnClose: false,
  forgets: false,
  loss: 0,
  twice: 0,
  late: 0,
  cut: 0
}
