/** A thread that echoes datagrams until one says "end". */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parentPort, workerData } from "node:worker_threads"
import * as libc from "../../src/internal/libc.ts"
import { UnixDatagram } from "../../src/internal/unixDatagram.ts"

const socket = Result.getOrThrow(UnixDatagram.open(await Effect.runPromise(libc.load), 65_536))
socket.bind(workerData as string)
socket.start({
  onMessage: (data, from) => {
    if (Buffer.from(data).toString() === "end") socket.close()
    else socket.send(data, from?.address)
  },
  onError: (error) => {
    throw error
  }
})
parentPort?.postMessage("bound")
