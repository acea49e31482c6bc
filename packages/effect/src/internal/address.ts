import type * as Endpoint from "@socketserver/core/Endpoint"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** Where a server listens, as Effect says it. What it has no form for, a host's name or `memory:`, is a path with the URL. */
export const addressOf = (endpoint: Endpoint.Endpoint): NetAddress.SocketAddress => {
  switch (endpoint._tag) {
    case "Tcp":
    case "Tls":
    case "Udp":
      return Result.getOrElse(NetAddress.inetAddressFromIpString(endpoint.host, endpoint.port), () => asText(endpoint))
    case "Unix":
    case "Unixgram":
      return endpoint.path.startsWith("@") ? asText(endpoint) : NetAddress.unixPathAddress(endpoint.path)
    default:
      return asText(endpoint)
  }
}

const asText = (endpoint: Endpoint.Endpoint): NetAddress.SocketAddress => NetAddress.unixPathAddress(String(endpoint))
