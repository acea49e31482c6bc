import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const source = fileURLToPath(new URL("../src/", import.meta.url))

/** What a file loads: types are not, what it loads later is. */
const loaded = (path: string): ReadonlyArray<string> => {
  const text = readFileSync(path, "utf8").replaceAll(/^\s*(\*|\/\/).*$/gm, "")
  const statements = text.matchAll(/^(?:import|export)(?!\s+type\b)[^"';]*?\sfrom\s+"([^"]+)"|^import\s+"([^"]+)"/gm)
  const later = text.matchAll(/\bimport\("([^"]+)"\)/g)
  return [...statements, ...later].map(([, from, bare]) => from ?? bare ?? "")
}

const resolved = (specifier: string, from: string): string | undefined => {
  if (specifier.startsWith("node:")) return undefined
  const url = specifier.startsWith(".") ? new URL(specifier, `file://${from}`).href : import.meta.resolve(specifier)
  return url.startsWith("file:") ? fileURLToPath(url) : undefined
}

/** All files that core needs, and through which file. */
const graph = (): ReadonlyMap<string, string> => {
  const found = new Map(globSync(`${source}**/*.ts`).map((path) => [path, "core"]))
  for (const [path] of found) {
    for (const specifier of loaded(path)) {
      const next = resolved(specifier, path)
      if (next !== undefined && !found.has(next)) found.set(next, path)
    }
  }
  return found
}

describe("what core loads", () => {
  it("is core, and of Effect nothing that is for HTTP, RPC or sockets", () => {
    const found = [...graph()]
    assert.isAbove(found.filter(([path]) => path.includes("/effect/")).length, 50)
    const wrong = found.filter(([path]) =>
      /\/effect\/(src|dist)\/(http|rpc|socket|persistence|observability)\//.test(path)
    )
    // Effect's own `Schema` has schemas of some data of HTTP.
    const own = wrong.filter(
      ([path, by]) => !/\/http\/(Cookies|Headers|UrlParams|internal\/urlParams)\.js$/.test(path) || by === "core"
    )
    assert.deepStrictEqual(own, [])
    assert.deepStrictEqual(
      wrong.filter(([, by]) => by.startsWith(source)),
      []
    )
    assert.deepStrictEqual(
      found.filter(([path]) => /\/(platform-node|packages\/node)\//.test(path)),
      []
    )
  })
})
