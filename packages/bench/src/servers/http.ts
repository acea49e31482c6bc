/** One router of Effect over a server of Node, over our listeners, and `node:http` by hand: `http.ts effect|bridge|node`. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as HttpBridge from "@socketserver/effect/HttpBridge"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

class Web extends Server.Service<Web>()("Web", {
  protocol: Protocol.connection(Protocol.bytes(), { atStop: "told" })
}) {}

const app = HttpRouter.serve(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello\n")), {
  disableLogger: true,
  disableListenLog: true
})

switch (process.argv[2]) {
  case "bridge":
    Layer.merge(Layer.provide(app, HttpBridge.layer(Web)), Web.announce).pipe(
      Layer.provide(NodeServer.layerConfig(Web)),
      NodeServer.launch
    )
    break
  case "effect": {
    const announce = Layer.effectDiscard(
      Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
        Console.log(`listening on tcp://127.0.0.1:${"port" in address ? address.port : 0}`)
      )
    )
    const listening = NodeHttpServer.layer(http.createServer, { host: "127.0.0.1", port: 0 })
    Effect.runFork(Layer.launch(Layer.provide(Layer.merge(app, announce), listening)))
    break
  }
  default: {
    const server = http.createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": 6 })
      response.end("hello\n")
    })
    server.listen(0, "127.0.0.1", () => {
      console.log(`listening on tcp://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  }
}
