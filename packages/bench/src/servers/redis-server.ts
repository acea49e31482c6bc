/** A Redis server of the system, on a free port, without a word to disk. It ends with this program, whatever ends that. */
import { spawn, spawnSync } from "node:child_process"
import * as Net from "node:net"

const free = await new Promise<number>((resolve) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resolve(port))
  })
})
const args = ["--port", String(free), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
const guarded = spawnSync("setpriv", ["--version"], { stdio: "ignore" }).error === undefined
const [program, ...rest] = [...(guarded ? ["setpriv", "--pdeathsig", "KILL"] : []), "redis-server", ...args]
const server = spawn(program!, rest, { stdio: ["ignore", "pipe", "inherit"] })
process.on("exit", () => server.kill("SIGKILL"))
process.on("SIGTERM", () => process.exit(0))
server.on("close", () => process.exit(1))
let said = ""
server.stdout.setEncoding("utf8").on("data", (text: string) => {
  const before = /ready to accept/i.test(said)
  said = (said + text).slice(-4_096)
  if (!before && /ready to accept/i.test(said)) console.log(`listening on tcp://127.0.0.1:${free}`)
})
