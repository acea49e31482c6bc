/**
 * A loop that stays in registers: how long it takes does not depend on what other cores do, as that of most
 * real work does (two threads of `pbkdf2` share OpenSSL's reference counts, and slow each other down by up to a tenth).
 */
export const compute = (iterations: number): void => {
  let hash = kept
  for (let i = 0; i < iterations; i++) hash = Math.imul(hash ^ i, 0x01_00_01_93)
  kept = hash
}

let kept = 1

/** As many iterations as take a millisecond here. */
export const calibrated = (): number => {
  const time = (iterations: number) => {
    const before = performance.now()
    for (let i = 0; i < 200; i++) compute(iterations)
    return (performance.now() - before) / 200
  }
  time(1_000_000)
  return Math.round(1_000_000 / time(1_000_000))
}
