/** The options that are set: one that is not must not hide that of the program. */
export const defined = <A extends object>(options: A): { readonly [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
