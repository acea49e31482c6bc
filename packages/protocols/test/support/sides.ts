import type * as Codec from "@socketserver/core/Codec"
import type * as Protocol from "@socketserver/core/Protocol"

/** The side that a server reads with, also of a protocol that answers nobody. */
export const serverOf = <In, Out, Send, Receive>(
  protocol: Protocol.Protocol<In, Out, Send, Receive>
): Codec.Side<In, never> => protocol.server as never
