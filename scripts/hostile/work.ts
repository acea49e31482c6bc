/** Keeps the CPU busy for some milliseconds: the same work for every server. */
export const burn = (millis: number): void => {
  for (const end = performance.now() + millis; performance.now() < end;) continue
}
