/**
 * `docs/reference/limits.md` has every option of a server and every variable, and its table every section.
 */
import { globSync, readFileSync } from "node:fs"
import { describe, it } from "vitest"
import { settings } from "../packages/node/src/internal/configuration.ts"
import { fieldsOf } from "./shapes.ts"
import { moduleAt } from "./sources.ts"

const page = readFileSync("docs/reference/limits.md", "utf8")
const [, rows = ""] = /## In one table\n(.*?)\n## /s.exec(page) ?? []
const table = rows.split("\n").filter((row) => row.startsWith("| ["))

const transport = moduleAt("packages/core/src/Transport.ts")
const options = transport.declared
  .filter(({ name }) => name === "ServerOptions")
  .flatMap((declared) => fieldsOf(transport, declared))
  .map(({ name }) => name)

const sources = globSync("packages/{core,node}/src/**/*.ts").map((file) => readFileSync(file, "utf8"))
const named = sources.flatMap((source) =>
  [...source.matchAll(/(?:(?:setting|process\.env)[[(]|name: )"([A-Z_]+)"/g)].map(([, name]) => name!)
)
const variables = [...new Set([...settings({}).names, ...named])]
  // Those of systemd and of our own processes among each other.
  .filter((name) => !name.startsWith("LISTEN_") && !name.startsWith("SOCKETSERVER_"))

describe("the page of limits", () => {
  it("finds what it is compared with", () => {
    if (options.length < 6) throw new Error(`only ${options.join()}`)
    if (variables.length < 24) throw new Error(`only ${variables.join()}`)
    if (table.length < 5) throw new Error(`only ${table.length} rows`)
  })

  it.each(options)("has the option %s", (option) => {
    if (!page.includes(`\`${option}\``)) throw new Error(`${option} is missing`)
  })

  it.each(variables)("has the variable %s", (variable) => {
    if (!page.includes(`\`${variable}\``)) throw new Error(`${variable} is missing`)
  })

  it("has a section for each row of the table, and a row for each section of an option", () => {
    const sections = [...page.matchAll(/^## (\w+)$/gm)].map(([, name]) => name!)
    const rows = table.map((row) => /^\| \[`(\w+)`\]/.exec(row)?.[1] ?? row)
    const missing = [
      ...rows.filter((row) => !sections.includes(row)).map((row) => `no section ${row}`),
      ...sections.filter((name) => options.includes(name) && !rows.includes(name)).map((name) => `no row ${name}`)
    ]
    const twice = [rows, sections].flatMap((names) => names.filter((name, at) => names.indexOf(name) !== at))
    if (missing.length + twice.length > 0)
      throw new Error([...missing, ...twice.map((name) => `${name} twice`)].join(", "))
  })
})

describe("times that a program gives", () => {
  it("are read in one room, which refuses what is none", () => {
    const others = globSync("packages/{core,node,testkit,protocols,effect}/src/**/*.ts").filter(
      (file) => !file.endsWith("core/src/internal/duration.ts") && readFileSync(file, "utf8").includes("Duration.Input")
    )
    // It lets a test pass time.
    if (others.join() !== "packages/testkit/src/internal/harness.ts")
      throw new Error(`Settings.Time in ${others.join()}`)
  })
})
