/** The one of `names` that somebody may have meant who wrote `text`, if one is near. */
export const nearest = (text: string, names: ReadonlyArray<string>): string | undefined => {
  const written = text.toLowerCase()
  let found: string | undefined
  let least = 3
  for (const name of names) {
    const distance = distanceOf(written, name.toLowerCase())
    // A short name is not meant by two other letters.
    if (distance >= least || distance * 2 >= name.length) continue
    least = distance
    found = name
  }
  return found
}

/** How many letters have to be put in, taken out or changed to make `b` of `a`. */
const distanceOf = (a: string, b: string): number => {
  if (Math.abs(a.length - b.length) > 2) return Infinity
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
