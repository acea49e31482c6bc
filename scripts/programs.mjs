// What the documentation shows of the packed packages, and examples that answer their clients over TCP, on the lowest Node that is
// supported. Run by `pnpm packages`, with the modules of what is shown as arguments; each says by itself where it is wrong.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import net from "node:net"
import { resolve } from "node:path"

for (const module of process.argv.slice(2)) {
  try {
    await import(resolve(module))
  } catch (error) {
    throw new Error(`${module} fails`, { cause: error })
  }
}

const node = (path, env) =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", path], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env }
  })

/** All that a program prints until it ends well. */
const printed = async (path, env) => {
  const child = node(path, env)
  let said = ""
  child.stdout.on("data", (text) => (said += text))
  assert.deepEqual(await once(child, "close"), [0, null], said)
  return said
}

/** An example that listens, for as long as it is talked to. */
const beside = async (name, env, talk) => {
  const server = node(`examples/${name}/main.ts`, { LISTEN: "tcp://127.0.0.1:0", ...env })
  const [said] = await once(server.stdout, "data")
  const [, port] = /^listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/.exec(said)
  await talk(Number(port))
  server.kill("SIGTERM")
  assert.deepEqual(await once(server, "exit"), [0, null])
}

for (const [POLICY, worker] of [
  ["fiber", "fiber-\\d+"],
  ["pool:1", "\\d+"]
]) {
  await beside("rpc", { POLICY }, async (port) => {
    const said = await printed("examples/rpc/client.ts", { CONNECT: `tcp://127.0.0.1:${port}` })
    assert.match(said, new RegExp(`^Add: 3\nCount: 1 2 3 4 5\nWhoAmI: 127\\.0\\.0\\.1:\\d+, by ${worker}\n$`))
  })
}

await beside("http", {}, async (port) => {
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/hello`)).text(), "hello\n")
})

await beside("redis", {}, async (port) => {
  const socket = net.connect({ host: "127.0.0.1", port })
  socket.write("SET a 1\r\nINCR a\r\n")
  let said = ""
  for await (const chunk of socket) {
    said += chunk
    if (said.length >= 9) break
  }
  assert.equal(said, "+OK\r\n:2\r\n")
})

console.log(`what the documentation shows, and RPC, HTTP and Redis answer their clients on Node ${process.version}`)
