/**
 * Effect's HTTP server on our listeners: an `HttpApi`, uploads, a WebSocket, health.
 *
 *   LISTEN=tcp://127.0.0.1:8080 node examples/http/main.ts
 *
 * In another terminal:
 *
 *   curl http://127.0.0.1:8080/hello                                        # hello
 *   curl http://127.0.0.1:8080/metrics                                      # for Prometheus; /ready and /health, too
 *   curl --data-binary @README.md http://127.0.0.1:8080/upload              # {"bytes":…,"sha256":"…"}
 *   node -e 'const s = new WebSocket("ws://127.0.0.1:8080/ws"); s.onopen = () => s.send("hello");
 *            s.onmessage = ({ data }) => { console.log(data); s.close() }'
 *
 * Send SIGTERM while `curl http://127.0.0.1:8080/slow` waits: it is answered, and so is an upload that has begun.
 * `LISTEN=unix:///tmp/http.sock` answers `curl --unix-socket /tmp/http.sock http://here/hello`, and
 * `LISTEN='tcp://127.0.0.1:8080?proxyProtocol=127.0.0.0/8'` takes `curl --haproxy-protocol`. `PREFORK=2` runs two copies.
 * HTTP runs where its layer is: a `POLICY` of workers is an error of the start.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Web, WebLive } from "./server.ts"

Layer.merge(WebLive, Web.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Web, { listen: "tcp://127.0.0.1:8080" })),
  NodeServer.launch
)
