import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as unixPath from "./unixPath.ts"

/** What differs for stream sockets in the file system: how they are asked whether they are alive, and how a server leaves. */
export const kind: Pick<unixPath.Kind<net.Server>, "knock" | "leave"> = {
  knock: (path) =>
    Effect.callback((resume) => {
      const socket = net.connect({ path })
      socket.once("connect", () => {
        socket.destroy()
        resume(Effect.succeed(undefined))
      })
      socket.once("error", (error) => resume(Effect.succeed(error)))
      return Effect.sync(() => socket.destroy())
    }),
  // Node removes whatever is at the path when it closes a server.
  leave: (server, path, own) => unixPath.sparing(path, own, () => void server.close())
}
