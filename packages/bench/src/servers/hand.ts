/**
 * The baselines on `node:net` and `node:tls`, as an expert writes them: `hand.ts <protocol>`, with `LISTEN` from the
 * environment. All messages of a chunk are answered by one write.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { certificate } from "../certificate.ts"
import { splitter } from "../lines.ts"

type Answer = (chunk: Buffer) => string | Buffer | undefined

const lines =
  (handle: (line: string) => string): (() => Answer) =>
  () => {
    const split = splitter()
    return (chunk) => {
      const all = split(chunk)
      if (all.length === 0) return undefined
      let out = ""
      for (const line of all) out += handle(line) + "\n"
      return out
    }
  }

/** Frames after their length: those that a chunk holds are answered from it, a larger one is copied together once. */
const frames = (): Answer => {
  const handle = (body: Buffer): Buffer => body
  const maxFrame = 2 << 20
  let pieces: Array<Buffer> = []
  let pending = 0
  let needed = 4
  const reply = (bodies: ReadonlyArray<Buffer>): Buffer => {
    let size = 0
    for (const body of bodies) size += 4 + body.length
    const out = Buffer.allocUnsafe(size)
    let at = 0
    for (const body of bodies) {
      out.writeUInt32BE(body.length, at)
      body.copy(out, at + 4)
      at += 4 + body.length
    }
    return out
  }
  return (chunk) => {
    pieces.push(chunk)
    pending += chunk.length
    if (pending < needed) return undefined
    const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces, pending)
    const bodies: Array<Buffer> = []
    let at = 0
    needed = 4
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at)
      if (length > maxFrame) throw new Error(`frame longer than ${maxFrame} bytes`)
      needed = 4 + length
      if (bytes.length - at < needed) break
      bodies.push(handle(bytes.subarray(at + 4, at + needed)))
      at += needed
      needed = 4
    }
    pending = bytes.length - at
    pieces = pending === 0 ? [] : [bytes.subarray(at)]
    return bodies.length === 0 ? undefined : reply(bodies)
  }
}

interface Order {
  readonly id: number
  readonly name: string
  readonly tags: ReadonlyArray<string>
  readonly price: number
}

const isOrder = (value: unknown): value is Order => {
  if (typeof value !== "object" || value === null) return false
  const { id, name, price, tags } = value as Record<string, unknown>
  return (
    Number.isSafeInteger(id) &&
    typeof name === "string" &&
    typeof price === "number" &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string")
  )
}

const json = (line: string): string => {
  const value: unknown = JSON.parse(line)
  if (!isOrder(value)) throw new Error("not an order")
  return JSON.stringify({ id: value.id, name: value.name, tags: value.tags, price: value.price })
}

const room = new Set<Net.Socket>()

const protocols: Readonly<Record<string, (socket: Net.Socket) => Answer>> = {
  lines: lines((line) => line),
  frames,
  json: lines(json),
  connection: () => (chunk) => chunk,
  broadcast: (socket) => {
    room.add(socket)
    socket.once("close", () => room.delete(socket))
    const split = splitter()
    return (chunk) => {
      for (const line of split(chunk)) {
        const message = line + "\n"
        for (const one of room) one.write(message)
      }
      return undefined
    }
  }
}

const serve = protocols[process.argv[2] ?? "lines"]!

const onConnection = (socket: Net.Socket) => {
  const answer = serve(socket)
  socket.on("data", (chunk: Buffer) => {
    let out: string | Buffer | undefined
    try {
      out = answer(chunk)
    } catch {
      socket.destroy()
      return
    }
    if (out !== undefined && !socket.write(out)) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("error", () => socket.destroy())
}

const [, scheme, path] = /^(\w+):(?:\/\/)?(.*)$/.exec(process.env["LISTEN"] ?? "tcp://")!
const options = { allowHalfOpen: true, noDelay: true }
const server =
  scheme === "tls"
    ? Tls.createServer({ ...certificate(), ...options }, onConnection)
    : Net.createServer(options, onConnection)
const listening = () => {
  const address = server.address()
  console.log(
    typeof address === "string" ? `listening on unix:${address}` : `listening on ${scheme}://127.0.0.1:${address!.port}`
  )
}
if (scheme === "unix") server.listen({ path: path!, backlog: 511 }, listening)
else server.listen(0, "127.0.0.1", listening)
