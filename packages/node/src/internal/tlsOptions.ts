import type { ServerError } from "@socketserver/core/ServerError"
import * as Result from "effect/Result"
import type { SecureVersion } from "node:tls"
import type { Pem, TlsOptions } from "../TlsServer.ts"
import { invalid, readCertificates } from "./pem.ts"

/** What servers and clients check alike. */
export interface Checked {
  readonly alpn: Array<string> | undefined
  readonly minVersion: SecureVersion
  readonly ca: Array<string> | undefined
}

export const check = (options: Pick<TlsOptions, "alpn" | "ca" | "minVersion">): Result.Result<Checked, ServerError> =>
  Result.gen(function* () {
    const { alpn, minVersion = "TLSv1.2" } = options
    if (minVersion !== "TLSv1.2" && minVersion !== "TLSv1.3") {
      const problem = `it must be TLSv1.2 or TLSv1.3, not ${JSON.stringify(minVersion)}; older versions are broken`
      return yield* Result.fail(invalid("minVersion", problem))
    }
    if (alpn !== undefined) {
      if (!Array.isArray(alpn) || alpn.length === 0) {
        return yield* Result.fail(invalid("alpn", 'it must be a list of at least one protocol, as in ["h2"]'))
      }
      for (const protocol of alpn) {
        // RFC 7301: a name has 1 to 255 bytes, a list 65,535.
        if (!/^[\x21-\x7e]{1,255}$/.test(protocol)) {
          const problem = `a protocol has 1 to 255 characters of ASCII, which ${JSON.stringify(protocol)} has not`
          return yield* Result.fail(invalid("alpn", problem))
        }
      }
      if (alpn.reduce((sum, protocol) => sum + 1 + protocol.length, 0) > 65_535) {
        return yield* Result.fail(invalid("alpn", "its protocols have more than 65535 bytes together"))
      }
    }
    const all = options.ca === undefined ? undefined : ([options.ca].flat() as Array<Pem>)
    if (all?.length === 0) return yield* Result.fail(invalid("ca", "it is an empty list: nobody could be trusted"))
    const ca: Array<string> = []
    for (const pem of all ?? []) ca.push(yield* readCertificates("ca", pem))
    return { alpn: alpn === undefined ? undefined : [...alpn], minVersion, ca: all === undefined ? undefined : ca }
  })
