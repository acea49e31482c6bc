import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Result from "effect/Result"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import type { Identity, Pem } from "../TlsServer.ts"

/** An identity that has been read and holds together. */
export interface Pair {
  readonly cert: string
  readonly key: string
  readonly passphrase: string | undefined
  readonly certificate: crypto.X509Certificate
}

/** More than any chain of certificates has, in bytes. */
const largest = 1_048_576

export const invalid = (option: string, problem: string): ServerError =>
  new ServerError({ reason: new InvalidOption({ option, problem }) })

/** The path of a PEM option that names a file. */
export const pathOf = (pem: Pem): string | undefined =>
  typeof pem === "string" && !pem.includes("-----BEGIN ") ? pem : undefined

/**
 * Reads a certificate and its key, and sees that they are a pair. `at` names the
 * option, as in `sni["example.org"].`
 */
export const readIdentity = (identity: Identity, at = ""): Result.Result<Pair, ServerError> =>
  Result.gen(function* () {
    const cert = yield* readCertificates(`${at}cert`, identity.cert)
    const key = yield* read(`${at}key`, identity.key)
    const where = whereOf(identity.key)
    if (!/-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(key)) {
      const problem = `${where} has no private key in PEM form (-----BEGIN PRIVATE KEY-----)`
      return yield* Result.fail(invalid(`${at}key`, problem))
    }
    const { passphrase } = identity
    const privateKey = yield* Result.try({
      try: () => crypto.createPrivateKey(passphrase === undefined ? key : { key, passphrase }),
      catch: (cause) => notOpened(at, where, passphrase, cause)
    })
    const certificate = certificates(cert)[0] as crypto.X509Certificate
    if (!certificate.checkPrivateKey(privateKey)) {
      const problem =
        `${where} is not the key of the certificate in ${whereOf(identity.cert)} (${subjectOf(certificate)}); ` +
        "give the key that it was made with, and in a chain the server's own certificate first"
      return yield* Result.fail(invalid(`${at}key`, problem))
    }
    return { cert, key, passphrase, certificate }
  })

/** Reads certificates: one, a chain or a bundle. */
export const readCertificates = (option: string, pem: Pem): Result.Result<string, ServerError> =>
  Result.flatMap(read(option, pem), (text) => {
    if (!text.includes(begin)) {
      const problem =
        `${whereOf(pem)} has no certificate in PEM form (${begin}); ` +
        "one in DER form becomes one with openssl x509 -inform der"
      return Result.fail(invalid(option, problem))
    }
    return Result.try({
      try: () => (certificates(text), text),
      catch: (cause) => invalid(option, `${whereOf(pem)} has a certificate that cannot be read (${messageOf(cause)})`)
    })
  })

const begin = "-----BEGIN CERTIFICATE-----"

const certificates = (text: string): Array<crypto.X509Certificate> =>
  [...text.matchAll(/-----BEGIN CERTIFICATE-----[^-]*(?:-----END CERTIFICATE-----)?/g)].map(
    ([pem]) => new crypto.X509Certificate(pem)
  )

const read = (option: string, pem: Pem): Result.Result<string, ServerError> => {
  const path = pathOf(pem)
  if (path === undefined) {
    const text = typeof pem === "string" ? pem : new TextDecoder().decode(pem)
    return Result.succeed(text)
  }
  if (path === "") return Result.fail(invalid(option, "it is empty; give the path of a PEM file, or its text"))
  return Result.flatMap(
    Result.try({ try: () => fs.statSync(path), catch: (cause) => invalid(option, notRead(path, cause)) }),
    (stat) => {
      // Anything else might block for ever.
      if (!stat.isFile()) return Result.fail(invalid(option, `${path} is not a file`))
      if (stat.size > largest) {
        return Result.fail(invalid(option, `${path} has ${stat.size} bytes; a PEM file has ${largest} at most`))
      }
      return Result.try({
        try: () => fs.readFileSync(path, "utf8"),
        catch: (cause) => invalid(option, notRead(path, cause))
      })
    }
  )
}

const notRead = (path: string, cause: unknown): string => {
  switch ((cause as NodeJS.ErrnoException).code) {
    case "ENOENT":
    case "ENOTDIR":
      return `there is no file ${path}; give the path of a PEM file, or its text`
    case "EACCES":
    case "EPERM":
      return `the file ${path} may not be read by this user; change its owner or its mode`
    default:
      return `the file ${path} cannot be read (${messageOf(cause)})`
  }
}

const notOpened = (at: string, where: string, passphrase: string | undefined, cause: unknown): ServerError => {
  const code = (cause as NodeJS.ErrnoException).code ?? ""
  if (
    code === "ERR_MISSING_PASSPHRASE" ||
    (passphrase === undefined && /interrupted or cancelled/.test(messageOf(cause)))
  ) {
    return invalid(`${at}key`, `${where} is encrypted; give its passphrase`)
  }
  return passphrase !== undefined &&
    /bad decrypt|BAD_DECRYPT|unsupported|cipherfinal|mac verify/i.test(`${code} ${messageOf(cause)}`)
    ? invalid(`${at}passphrase`, `it does not open ${where}`)
    : invalid(`${at}key`, `${where} has a private key that cannot be read (${messageOf(cause)})`)
}

const whereOf = (pem: Pem): string => pathOf(pem) ?? "the text"

/** Why clients that look at a certificate do not take it at a time, by the wall clock. */
export const untimely = (certificate: crypto.X509Certificate, now: number): string | undefined => {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  const what = `the certificate of ${subjectOf(certificate)}`
  if (now > to) return `${what} expired on ${new Date(to).toISOString()}`
  return now < from ? `${what} is not valid before ${new Date(from).toISOString()}` : undefined
}

/** Whose it is, in a line. */
export const subjectOf = ({ subject }: crypto.X509Certificate): string =>
  (subject as string | undefined)?.replaceAll("\n", ", ") ?? "without a subject"

export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
