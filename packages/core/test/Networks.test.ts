import { assert, describe, it } from "@effect/vitest"
import { Networks, Peer } from "@socketserver/core"
import * as Result from "effect/Result"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"

const peer = (host: string) =>
  Peer.make({
    transport: "tcp",
    name: host,
    address: () => NetAddress.inetAddressFromNativeUnsafe(host, 1, new Map([["eth0", 2]]))
  })

const within = (...networks: ReadonlyArray<Networks.Input>) => Result.getOrThrow(Networks.within(...networks))

describe("networks", () => {
  it.each([
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.1.2.3", "::ffff:10.1.2.3", true],
    ["::ffff:10.0.0.0/104", "10.1.2.3", true],
    ["::ffff:10.0.0.0/104", "::ffff:11.1.2.3", false],
    ["::ffff:10.1.2.3", "10.1.2.3", true],
    ["::ffff:10.1.2.3", "10.1.2.4", false],
    ["::ffff:0.0.0.0/96", "10.1.2.3", true],
    ["::/0", "10.1.2.3", false],
    ["0.0.0.0/0", "::1", false],
    ["fe80::/10", "fe80::1%eth0", true]
  ] as const)("%s has %s: %s", (network, host, expected) => {
    assert.strictEqual(within(network)(peer(host)), expected)
  })

  it("may be those of effect/net", () => {
    const network = Result.getOrThrow(IpNetwork.fromString("::ffff:10.0.0.0/104"))
    assert.isTrue(within(network)(peer("10.1.2.3")))
  })

  it("have no peer without an address", () => {
    assert.isFalse(within("0.0.0.0/0", "::/0")(Peer.make({ transport: "unix", name: "unix" })))
  })

  it("that are none are an error with the text, and throw nothing", () => {
    const wrong = Networks.within("10.0.0.0/8", "10.0.0.0/33")
    assert(Result.isFailure(wrong))
    assert.strictEqual(wrong.failure._tag, "InvalidNetwork")
    assert.strictEqual(
      wrong.failure.message,
      '"10.0.0.0/33" is no network; write it as 10.0.0.0/8, 2001:db8::/32 or a single address'
    )
  })
})
