/** A preload: makes koffi what the environment says. */
import { registerHooks } from "node:module"

const stands: Readonly<Record<string, string>> = {
  old: `export default { version: "3.0.0" }`,
  broken: `throw new Error("it is broken")`
}

const state = process.env["KOFFI"] ?? ""

if (state === "elsewhere") Object.defineProperty(process, "platform", { value: "darwin" })
else {
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier !== "koffi") return next(specifier, context)
      if (state !== "missing") return { url: `data:text/javascript,${stands[state]}`, shortCircuit: true }
      return next("koffi-that-is-not-installed", context)
    }
  })
}
