/**
 * Every relative link in Markdown leads to a file, and to a heading where it names one.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { it } from "vitest"

const documents = globSync(["**/*.md", ".changeset/*.md"], { exclude: ["**/node_modules/**", "**/dist/**"] }).sort()

it.each(documents)("%s links to what exists", (document) => {
  const dangling = linksIn(document).filter((link) => !leadsSomewhere(document, link))
  if (dangling.length > 0) throw new Error(`${document}: ${dangling.join(", ")}`)
})

/** Brackets in code are no links. */
function linksIn(document: string): ReadonlyArray<string> {
  const prose = withoutFences(document).replace(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g, "")
  return [...prose.matchAll(/\]\((?!\w+:)([^)\s]+)[^)]*\)/g)].map((match) => match[1]!)
}

function leadsSomewhere(document: string, link: string): boolean {
  const [path, anchor] = link.split("#")
  const file = path === "" ? document : join(dirname(document), path!)
  return existsSync(file) && (anchor === undefined || (file.endsWith(".md") && anchorsIn(file).includes(anchor)))
}

/** As GitHub makes them: the second `Example` is `example-1`. */
function anchorsIn(document: string): ReadonlyArray<string> {
  const slugs = [...withoutFences(document).matchAll(/^#{1,6} (.*)$/gm)].map((match) =>
    match[1]!
      .replace(/\]\([^)]*\)/g, "")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, "")
      .trim()
      .replaceAll(" ", "-")
  )
  return slugs.map((slug, at) => {
    const before = slugs.slice(0, at).filter((other) => other === slug).length
    return before === 0 ? slug : `${slug}-${before}`
  })
}

function withoutFences(document: string): string {
  return readFileSync(document, "utf8").replace(/^([^\S\n]*)(```+)[^\n]*\n[^]*?^\1\2[^\S\n]*$/gm, "")
}
