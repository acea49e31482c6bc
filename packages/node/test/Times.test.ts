/** Times that a program gives to a listener or a client: what is none is refused before anything is opened. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import type * as Settings from "@socketserver/core/Settings"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { directory, selfSigned } from "./support/certificates.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.bytes()) }) {}

const own = selfSigned(directory(), "times")

type Take = (time: Settings.Time) => Effect.Effect<unknown, { readonly message: string }, Scope.Scope>

/** Where nothing is, so that whoever gets as far as connecting is told so. */
const nowhere = "/nowhere/at/all"

const upgraded: Take = (handshakeTimeout) =>
  Effect.flatMap(Talk.rawClient, (connection) =>
    NodeClient.upgrade(connection, { serverName: "localhost", handshakeTimeout })
  ).pipe(Effect.provide(MemoryServer.layer(Talk)))

const takers: ReadonlyArray<{ readonly what: string; readonly option: string; readonly take: Take }> = [
  {
    what: "a TCP listener",
    option: "proxyTimeout",
    take: (proxyTimeout) => Layer.build(TcpServer.layer(Lines, { proxyProtocol: ["127.0.0.1"], proxyTimeout }))
  },
  {
    what: "a TCP listener",
    option: "keepAlive",
    take: (keepAlive) => Layer.build(TcpServer.layer(Lines, { keepAlive }))
  },
  {
    what: "a TLS listener",
    option: "handshakeTimeout",
    take: (handshakeTimeout) => Layer.build(TlsServer.layer(Lines, { ...own, handshakeTimeout }))
  },
  {
    what: "a TLS listener",
    option: "reloadAfter",
    take: (reloadAfter) => Layer.build(TlsServer.layer(Lines, { ...own, reloadAfter }))
  },
  {
    what: "a Unix listener",
    option: "proxyTimeout",
    take: (proxyTimeout) => Layer.build(UnixServer.layer(Lines, { path: nowhere, proxyProtocol: true, proxyTimeout }))
  },
  {
    what: "a listener of Unix datagrams",
    option: "sendTimeout",
    take: (sendTimeout) => Layer.build(UnixDatagramServer.layer(Lines, { path: nowhere, sendTimeout }))
  },
  {
    what: "a TCP client",
    option: "connectTimeout",
    take: (connectTimeout) => NodeClient.wire("tcp://127.0.0.1:1", { tcp: { connectTimeout } })
  },
  {
    what: "a TLS client",
    option: "connectTimeout",
    take: (connectTimeout) => NodeClient.wire("tls://127.0.0.1:1", { tls: { connectTimeout } })
  },
  {
    what: "a Unix client",
    option: "connectTimeout",
    take: (connectTimeout) => NodeClient.wire(`unix://${nowhere}`, { unix: { connectTimeout } })
  },
  {
    what: "a client of Unix datagrams",
    option: "sendTimeout",
    take: (sendTimeout) => NodeClient.wire(`unixgram://${nowhere}`, { unixgram: { sendTimeout } })
  },
  { what: "an upgrade", option: "handshakeTimeout", take: upgraded }
]

const refused = ["-1s", -1, "soon" as never, NaN] as const

describe.each(takers)("$what", ({ option, take, what }) => {
  it.effect(`refuses a ${option} that is none`, () =>
    Effect.gen(function* () {
      for (const time of [...refused, ...(option === "reloadAfter" ? [] : [0, "0s" as const])]) {
        const { message } = yield* Effect.flip(Effect.scoped(take(time)))
        // A client has no name.
        const whose = what.includes("listener") ? ` of ${Lines.key}` : ""
        const said = new RegExp(`^Invalid option ${option}${whose}: it must be a (positive )?time`)
        assert.match(message, said, String(time))
      }
    })
  )

  it.effect(`takes a ${option} in short`, () =>
    Effect.gen(function* () {
      const told = yield* Effect.match(Effect.scoped(take("5s")), {
        onSuccess: () => "",
        onFailure: ({ message }) => message
      })
      assert.notInclude(told, "Invalid option")
    })
  )
})
