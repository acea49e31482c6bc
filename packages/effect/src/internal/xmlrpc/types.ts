import type { Value } from "./values.ts"

/** A type of values: its name, how a value is read as one, and how it is written. */
export interface Type<in out A> {
  readonly name: string
  readonly decode: (value: Value) => A | undefined
  readonly encode: (value: A) => Value
}

type Tagged = Extract<Value, { readonly value: unknown }>

/** The type of one kind of values, without its tag. */
export const plain = <const Tag extends Tagged["_tag"]>(
  name: string,
  tag: Tag
): Type<Extract<Tagged, { readonly _tag: Tag }>["value"]> => ({
  name,
  decode: (value) => (value._tag === tag ? (value as Tagged).value : undefined) as never,
  encode: (value) => ({ _tag: tag, value }) as never
})

export const array = <A>(of: Type<A>): Type<ReadonlyArray<A>> => ({
  name: "array",
  decode: (value) => {
    if (value._tag !== "Array") return undefined
    const all: Array<A> = []
    for (const item of value.value) {
      const decoded = of.decode(item)
      if (decoded === undefined) return undefined
      all.push(decoded)
    }
    return all
  },
  encode: (all) => ({ _tag: "Array", value: all.map(of.encode) })
})

export const struct = <A extends object>(fields: { readonly [K in keyof A]: Type<A[K]> }): Type<A> => {
  const all = Object.entries(fields) as Array<[string, Type<unknown>]>
  return {
    name: "struct",
    decode: (value) => {
      if (value._tag !== "Struct") return undefined
      const entries: Array<[string, unknown]> = []
      for (const [name, type] of all) {
        const member = value.value.get(name)
        const decoded = member === undefined ? undefined : type.decode(member)
        if (decoded === undefined) return undefined
        entries.push([name, decoded])
      }
      return Object.fromEntries(entries) as A
    },
    encode: (value) => ({
      _tag: "Struct",
      value: new Map(all.map(([name, type]) => [name, type.encode(value[name as keyof A])]))
    })
  }
}
