/** A certificate for one run of a server, made by openssl and kept in no file. */
import { execFileSync } from "node:child_process"

export const certificate = (): { readonly cert: string; readonly key: string } => {
  const args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost -keyout -"
  const pem = execFileSync("openssl", args.split(" "), { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
  const at = pem.indexOf("-----BEGIN CERTIFICATE-----")
  return { key: pem.slice(0, at), cert: pem.slice(at) }
}
