/** The bare child of `hand-worker.ts`: answers all messages of a chunk by one write. */
import { framer, message } from "../pipe.ts"

const handle = (line: string): string => line

let out: Array<Buffer> = []
const unframe = framer((id, body) => void out.push(message(id, Buffer.from(handle(body.toString("utf8"))))))
process.stdin.on("data", (chunk: Buffer) => {
  out = []
  unframe(chunk)
  if (out.length > 0) process.stdout.write(Buffer.concat(out))
})
