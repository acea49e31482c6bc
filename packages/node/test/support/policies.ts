import * as Policy from "@socketserver/core/Policy"

/** A policy never sees the transport. All of them run over memory, in core; over sockets, the two that are furthest apart. */
export const policies: ReadonlyArray<Policy.Policy> = [Policy.sequential, Policy.fiber()]
