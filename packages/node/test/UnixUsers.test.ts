/** Who connects to a Unix socket, and who may. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type * as Peer from "@socketserver/core/Peer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

class Users extends Server.Service<Users>()("Users", { protocol: Protocol.lines() }) {}

const say = (credentials: Peer.Credentials | undefined) =>
  credentials === undefined ? "nobody" : `${credentials.pid} ${credentials.uid} ${credentials.gid}`

const UsersLive = Users.serve(({ peer }) => Effect.succeed(Response.make(say(peer.credentials))))

const path = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "users-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  ),
  (directory) => join(directory, "s")
)

const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1]
const me = `${process.pid} ${uid} ${gid}`

const served = <A, E, R>(layer: (path: string) => Layer.Layer<Users, unknown>, test: Effect.Effect<A, E, R>) =>
  Effect.flatMap(path, (path) => Effect.provide(test, Layer.provideMerge(UsersLive, layer(path)))).pipe(Effect.scoped)

const ask = Effect.flatMap(Users.client, (client) => client.send("who am I?"))

const on = (peers: UnixServer.Peers | undefined, options?: Partial<UnixServer.UnixServerOptions>) => (path: string) =>
  UnixServer.layer(Users, { ...options, path, peers })

describe.skipIf(process.platform !== "linux")("users of a Unix socket", () => {
  it.live("are known where that is asked for, and nowhere else", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* served(on("any"), ask), me)
      assert.strictEqual(yield* served(on(undefined), ask), "nobody")
      const byUrl = (path: string) => NodeServer.layer(Users, `unix://${path}?peers=${uid},12345`)
      assert.strictEqual(yield* served(byUrl, ask), me)
      const byName = () => NodeServer.layer(Users, `unix:@users-${process.pid}?peers=same-user`)
      assert.strictEqual(yield* served(byName, ask), me)
    })
  )

  it.live("may connect if they are named, and are refused before anything is read if not", () =>
    Effect.gen(function* () {
      for (const peers of ["same-user", [uid], [uid + 1, uid]] as const) {
        assert.strictEqual(yield* served(on(peers), ask), me)
      }
      const refused = Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(ask))._tag, "ConnectionError")
        const server = yield* Users
        const { Refused } = yield* server.counts
        const { Allow } = yield* server.refusals
        return { Refused, Allow }
      })
      assert.deepStrictEqual(yield* served(on([uid + 1]), refused), { Refused: 1, Allow: 1 })
    })
  )

  it.live("are seen by verify", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const verify = (peer: Peer.Peer) => {
        seen.push(say(peer.credentials))
        return true
      }
      yield* served(on("any", { verify }), ask)
      assert.deepStrictEqual(seen, [me])
    })
  )

  it.live("are who limits for each peer count", () =>
    Effect.gen(function* () {
      const keys: Array<number> = []
      const verify = (_peer: Peer.Peer, _listener: unknown, counts: { readonly connections: number }) => {
        keys.push(counts.connections)
        return true
      }
      const two = Effect.andThen(ask, Effect.exit(ask))
      const exit = yield* served(on("any", { maxConnectionsPerPeer: 1, verify }), two)
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(keys, [0])
    })
  )

  it.live("are no option of what is none, or of another transport", () =>
    Effect.gen(function* () {
      const message = (endpoint: string) =>
        Effect.map(Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Users, endpoint)))), (error) => error.message)
      const form = "peers must be any, same-user or user numbers, separated by commas, not"
      assert.include(yield* message("unix:@a?peers=root"), `${form} "root"`)
      assert.include(yield* message("unix:@a?peers="), `${form} ""`)
      assert.include(
        yield* message("unix:@a?peers=5000000000"),
        'Invalid option peers of unix:@a?peers=5000000000: it must be "any", "same-user" or numbers'
      )
      assert.include(yield* message("tcp://127.0.0.1:0?peers=any"), "peers is no option of this transport")
      const none = Effect.scoped(Layer.build(UnixServer.layer(Users, { path: "@a", peers: [] })))
      assert.include((yield* Effect.flip(none)).message, "Invalid option peers of Users: ")
    })
  )
})
