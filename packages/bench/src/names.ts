/** The names that the servers of DNS know, and the load asks for. */
export const addresses: ReadonlyArray<readonly [name: string, address: string]> = Array.from(
  { length: 1_000 },
  (_, i) => [`host${i}.example`, `192.0.${i >> 8}.${i & 255}`]
)
