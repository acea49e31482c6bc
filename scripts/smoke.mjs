/** Runs on the lowest supported Node against the packed packages, in a project that knows nothing of this repository. */
import assert from "node:assert"

const core = await import("@socketserver/core")
const node = await import("@socketserver/node")

assert.ok(core)
assert.ok(node)
console.log(`smoke: imported core and node on Node ${process.versions.node}`)
