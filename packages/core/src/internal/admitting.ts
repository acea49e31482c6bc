import type * as Wire from "../Wire.ts"
import { CalledStream } from "./calledStream.ts"
import type { Census } from "./census.ts"
import type { Connections } from "./connections.ts"
import type { ServerContext } from "./context.ts"
import { ControlledStream } from "./controlledStream.ts"
import { DatagramConnection } from "./datagramConnection.ts"
import { DialogueStream } from "./dialogueStream.ts"
import { GuardedWire } from "./guardedWire.ts"
import { RequestStream } from "./requestStream.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** Makes connections of those that are let in, and knows who is there. */
export class Admitting<In, Out> {
  readonly connections: Connections<ServerConnection<In, Out>>
  /** Connections that have been let in since the start; datagrams are none. */
  admitted = 0
  private readonly context: ServerContext<In, Out>
  private readonly census: Census
  private readonly onCame: (connection: ServerConnection<In, Out>) => void

  constructor(
    context: ServerContext<In, Out>,
    connections: Connections<ServerConnection<In, Out>>,
    census: Census,
    onCame: (connection: ServerConnection<In, Out>) => void
  ) {
    this.context = context
    this.connections = connections
    this.census = census
    this.onCame = onCame
  }

  /** A connection. */
  connection(transports: Wire.Wire, id = this.context.nextConnectionId(), onHeard?: () => void): void {
    const { context } = this
    const wire = new GuardedWire(transports, context)
    this.admitted++
    if (context.protocol.kind === "messages") {
      const connection = streamOf(context, wire, id)
      if (onHeard !== undefined) connection.activity.onHeard = onHeard
      this.register(connection)
      connection.timeouts.watch()
      return wire.start(connection)
    }
    const connection = new DialogueStream(context as never, wire, id)
    if (onHeard !== undefined) connection.activity.onHeard = onHeard
    this.register(connection as never)
    connection.timeouts.watch()
    wire.start(connection)
    connection.open()
  }

  /** A datagram: a connection of one request. */
  datagram(datagram: Wire.Datagram): void {
    const connection = new DatagramConnection(this.context, datagram, this.context.nextConnectionId())
    this.register(connection)
    connection.open()
  }

  private register(connection: ServerConnection<In, Out>): void {
    this.connections.add(connection)
    this.context.traffic.came(connection)
    this.census.came("connections", connection)
    this.onCame(connection)
  }

  /** A connection has ended; whether it was one. */
  release(connection: ServerConnection<In, Out>): boolean {
    const was = this.connections.delete(connection)
    if (was) {
      this.context.traffic.left(connection)
      this.census.left("connections", connection)
      if (connection.activity.onHeard !== undefined) connection.activity.heardFirst()
      connection.holding.end()
    }
    return was
  }
}

const streamOf = <In, Out>(context: ServerContext<In, Out>, wire: Wire.Wire, id: number): RequestStream<In, Out> => {
  const { control } = context.protocol
  if (control === undefined) return new RequestStream(context, wire, id)
  if (wire.carries === "payloads") return new CalledStream(context, wire, id)
  return new ControlledStream(context, wire, id, control)
}
