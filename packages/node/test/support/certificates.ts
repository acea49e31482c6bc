import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

/** A certificate made for a test, and its key, in files. */
export interface Made {
  readonly cert: string
  readonly key: string
}

/** A directory for the certificates of a test file, which goes when it has ended. */
export const directory = (): string => {
  const path = fs.mkdtempSync(join(tmpdir(), "tls-"))
  afterAll(() => fs.rmSync(path, { recursive: true, force: true }))
  return path
}

export const openssl = (...args: ReadonlyArray<string>): void => {
  const { status, stderr, error } = spawnSync("openssl", args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${error?.message ?? stderr}`)
}

/** A self-signed certificate for a name, and for this machine's loopback. */
export const selfSigned = (directory: string, name: string, host = "localhost"): Made => make(directory, name, host, [])

/** A certificate that another one has signed. */
export const signed = (directory: string, name: string, by: Made, host = "localhost"): Made =>
  make(directory, name, host, ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", by.cert, "-CAkey", by.key])

const make = (directory: string, name: string, host: string, more: ReadonlyArray<string>): Made => {
  const made = { cert: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) }
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ")
  const alternatives = `subjectAltName=DNS:${host},IP:127.0.0.1`
  const names = ["-subj", `/CN=${name}/O=Test`, "-addext", alternatives]
  openssl(...request, "-keyout", made.key, "-out", made.cert, ...names, ...more)
  return made
}
