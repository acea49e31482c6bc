import { assert, describe, it } from "@effect/vitest"
import type { Connection } from "@socketserver/core"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import * as NetAddress from "effect/net/NetAddress"
import { type Described, describe as describeConnection } from "../src/internal/worker/channel/description.ts"
import { FrameWriter } from "../src/internal/worker/channel/frames.ts"
import { Pushes, RemoteRef } from "../src/internal/worker/child/remoteRef.ts"

const listener = Endpoint.tls("127.0.0.1", 7_443)

/** A connection as a worker sees it of which its parent has told it. */
const crossed = (peer: Peer.Peer) => {
  const info = { id: 7, peer, listener, openedAt: 1_234.5, bytesRead: 0, bytesWritten: 0, inFlight: 0 }
  const told = JSON.stringify(describeConnection(info as Connection.Info))
  const writer = new FrameWriter(
    () => {},
    () => {}
  )
  return new RemoteRef({
    id: 7,
    described: JSON.parse(told) as Described,
    writer,
    pushes: new Pushes(),
    encode: () => String,
    windowBytes: 65_536
  })
}

/** A value of every field, so that a new one does not compile until it is here. */
const fieldsOf = (peer: Peer.Peer): Required<Omit<Peer.Peer, "toString">> => ({
  transport: peer.transport,
  name: peer.name,
  address: peer.address,
  tls: peer.tls,
  credentials: peer.credentials
})

const certificate: Peer.Certificate = {
  subject: { CN: "device-17", OU: ["one", "two"] },
  issuer: { CN: "authority", O: "Example" },
  subjectAltName: "DNS:example.org, IP Address:192.0.2.1",
  serialNumber: "0A1B",
  fingerprint256: "AA:BB",
  validFrom: 1_700_000_000_000,
  validTo: 1_800_000_000_000,
  raw: Buffer.from([0, 1, 127, 128, 255])
}

const secured: Peer.Tls = {
  protocol: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  serverName: "example.org",
  alpn: "imap",
  certificate
}

const inet = (host: string) => () => NetAddress.inetAddressFromNativeUnsafe(host, 50_312)

describe("a peer that is told to a worker", () => {
  it.each<[string, Parameters<typeof Peer.make>[0]]>([
    ["without an address", { transport: "memory", name: "memory:echo#2" }],
    ["with one of IPv4", { transport: "tcp", name: "127.0.0.1:50312", address: inet("127.0.0.1") }],
    ["with one of IPv6", { transport: "tcp", name: "[2001:db8::1]:50312", address: inet("2001:db8::1") }],
    ["with a zone", { transport: "tcp", name: "[fe80::1%eth0]:50312", address: inet("fe80::1%3") }],
    ["with IPv4 in IPv6", { transport: "tcp", name: "[::ffff:127.0.0.1]:50312", address: inet("::ffff:127.0.0.1") }],
    ["with a path", { transport: "unix", name: "/run/a", address: () => NetAddress.unixPathAddress("/run/a b\0\n") }],
    ["of a user", { transport: "unix", name: "a", credentials: { pid: 0, uid: 4_294_967_295, gid: 5 } }],
    ["over TLS", { transport: "tls", name: "a", tls: secured }],
    ["without a certificate", { transport: "tls", name: "a", tls: { ...secured, certificate: undefined } }],
    [
      "with little to say",
      {
        transport: "tls",
        name: "a",
        tls: {
          ...secured,
          alpn: undefined,
          serverName: undefined,
          certificate: { ...certificate, subjectAltName: undefined }
        }
      }
    ]
  ])("is the same there, %s", (_, options) => {
    const peer = Peer.make(options)
    const ref = crossed(peer)
    assert.deepStrictEqual(fieldsOf(ref.peer), fieldsOf(peer))
    assert.strictEqual(String(ref.peer), String(peer))
    assert.strictEqual(String(ref.listener), String(listener))
    assert.strictEqual(ref.openedAt, 1_234.5)
  })
})
