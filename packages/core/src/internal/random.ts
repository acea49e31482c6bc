/**
 * Numbers by seed (sfc32). Each label has a stream of its own: who is taken out of
 * a scenario changes nothing of what happens to the others.
 */
export class Random {
  private readonly seed: number
  private a: number
  private b: number
  private c: number
  private d = 1

  constructor(seed: number, label = "") {
    this.seed = seed
    let h = (seed | 0) ^ 0x9e3779b9
    for (let i = 0; i < label.length; i++) h = Math.imul(h ^ label.charCodeAt(i), 0x01000193)
    const mix = (): number => {
      h = (h + 0x9e3779b9) | 0
      let t = h ^ (h >>> 16)
      t = Math.imul(t, 0x21f0aaad)
      t ^= t >>> 15
      t = Math.imul(t, 0x735a2d97)
      return t ^ (t >>> 15)
    }
    this.a = mix()
    this.b = mix()
    this.c = mix()
    for (let i = 0; i < 8; i++) this.next()
  }

  /** A stream of its own. */
  fork(label: string): Random {
    return new Random(this.seed, label)
  }

  /** 32 bits. */
  next(): number {
    const t = (((this.a + this.b) | 0) + this.d) | 0
    this.d = (this.d + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + t) | 0
    return t >>> 0
  }

  /** From 0, less than 1. */
  float(): number {
    return this.next() / 4_294_967_296
  }

  /** From `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1))
  }

  /** Whether what happens with this probability does. */
  chance(probability: number): boolean {
    return probability > 0 && this.float() < probability
  }

  pick<A>(list: ReadonlyArray<A>): A {
    return list[Math.floor(this.float() * list.length)] as A
  }
}
