import type * as NodeWS from "@effect/platform-node/NodeWS"

/** The WebSockets of a server, which say goodbye when it stops. */
export class WebSockets {
  /** What `ws` makes of each. */
  readonly WebSocket: typeof NodeWS.WebSocket
  private readonly open = new Set<NodeWS.WebSocket>()
  private isStopping = false

  constructor(Base: typeof NodeWS.WebSocket) {
    const opened = (socket: NodeWS.WebSocket) => this.opened(socket)
    this.WebSocket = class extends Base {
      constructor(...args: ConstructorParameters<typeof Base>) {
        super(...args)
        opened(this)
      }
    } as typeof Base
  }

  private opened(socket: NodeWS.WebSocket): void {
    this.open.add(socket)
    socket.on("close", () => this.open.delete(socket))
    // It is open once its handshake is over.
    socket.once("open", () => {
      if (this.isStopping) socket.close(goingAway)
    })
  }

  stop(): void {
    if (this.isStopping) return
    this.isStopping = true
    for (const socket of this.open) if (socket.readyState === socket.OPEN) socket.close(goingAway)
  }
}

// https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const goingAway = 1_001
