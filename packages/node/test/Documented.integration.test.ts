import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { directory, selfSigned } from "./support/certificates.ts"
import { bundled } from "./support/bundling.ts"
import { listening, missing, node, printed, python } from "./support/programs.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const page = "docs/how-to/run-handlers-in-processes.md"

/** The program of the page, as it stands there. */
const documented = (): string => {
  const program = /^```ts no-run\n(.*?)^```/ms.exec(readFileSync(root + page, "utf8"))?.[1]
  assert.isDefined(program, `${page} has no program`)
  return program
}

/** Exchanges a text that must be there once. */
const exchanged = (program: string, what: string | RegExp, by: string): string => {
  assert.lengthOf(program.split(what), 2, `${page} has ${String(what)} once`)
  return program.replace(what, by)
}

/** The program announcing where it listens, in a folder: what it imports is found from inside the workspace only. */
const written = async (): Promise<string> => {
  const program = exchanged(
    documented(),
    /^ThumbnailsLive\.pipe/m,
    "Layer.merge(ThumbnailsLive, Thumbnails.announce).pipe"
  )
  mkdirSync(`${root}.programs`, { recursive: true })
  const folder = mkdtempSync(`${root}.programs/`)
  writeFileSync(`${folder}/server.ts`, program)
  await bundled({ server: `${folder}/server.ts` }, folder)
  return folder
}

/** Sends an empty frame, every byte, the largest frame there may be, and one byte by byte; prints whether all come back. */
const client = `
import struct
s = connect()
payloads = [b"", bytes(range(256)), b"\\xff" * (65536 - 4), b"in pieces"]
frames = [struct.pack(">I", len(payload)) + payload for payload in payloads]
s.sendall(b"".join(frames[:-1]))
for byte in frames[-1]: s.send(bytes([byte]))
s.shutdown(socket.SHUT_WR)
print(rest(s) == b"".join(frames))
`

describe.skipIf(missing("python3"))(page, () => {
  let folder = ""
  beforeAll(async () => void (folder = await written()))
  afterAll(() => rmSync(folder, { recursive: true }))

  it.live.each(["fiber", "thread:2", "pool:2", "process"])("has a program that answers Python under %s", (POLICY) =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(node(`${folder}/server.mjs`, { POLICY }))
      assert.strictEqual(yield* printed(python(port, client)), "True\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
    })
  )
})

const source = "packages/node/src/TlsServer.ts"

/** Its example of STARTTLS, with certificates, announcing where it listens. */
const offering = async (certificate: { readonly cert: string; readonly key: string }): Promise<string> => {
  const example = /\*\*Example\*\* \(Offering STARTTLS\)\n \*\n \* ```ts no-run\n(.*?)^ \* ```/ms.exec(
    readFileSync(root + source, "utf8")
  )?.[1]
  assert.isDefined(example, `${source} has no example of STARTTLS`)
  let program = example.replaceAll(/^ \* ?/gm, "")
  program = exchanged(program, '"cert.pem"', JSON.stringify(certificate.cert))
  program = exchanged(program, '"key.pem"', JSON.stringify(certificate.key))
  program = exchanged(program, "Layer.provide(Node", "Layer.merge(Mail.announce), Layer.provide(Node")
  mkdirSync(`${root}.programs`, { recursive: true })
  const folder = mkdtempSync(`${root}.programs/`)
  writeFileSync(`${folder}/mail.ts`, program)
  await bundled({ mail: `${folder}/mail.ts` }, folder)
  return folder
}

describe.skipIf(missing("python3"))(`the example of STARTTLS in ${source}`, () => {
  const certificate = selfSigned(directory(), "localhost")
  let folder = ""
  beforeAll(async () => void (folder = await offering(certificate)))
  afterAll(() => rmSync(folder, { recursive: true }))

  it.live.each([
    ["STARTTLS\\r\\n", "220 Ready to start TLS"],
    // Of two lines for whoever takes a bare LF for an end, the first is the command.
    ["STARTTLS\\nNOOP\\r\\n", "530 Must issue a STARTTLS command first"],
    ["STARTTLS\\n\\r\\n", "530 Must issue a STARTTLS command first"],
    ["STARTTLS\\r\\r\\n", "530 Must issue a STARTTLS command first"]
  ])("answers what ends with CR LF, and with nothing less: %s", ([sent, answer]) =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(node(`${folder}/mail.mjs`))
      const talk = `s = connect()\nprint(line(s))\ns.sendall(b"${sent}")\nprint(line(s))\n`
      assert.strictEqual(yield* printed(python(port, talk)), `b'220 example.org\\r\\n'\nb'${answer}\\r\\n'\n`)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )
})
