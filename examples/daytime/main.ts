/**
 * Tells the time (RFC 867), over TLS. A certificate for this machine, and the server:
 *
 *   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
 *     -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1
 *   node examples/daytime/main.ts
 *
 * In another terminal, `openssl s_client -quiet -CAfile cert.pem -connect localhost:9013` or
 * `socat - openssl:localhost:9013,cafile=cert.pem` shows it.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Daytime, DaytimeLive } from "./server.ts"

Layer.merge(DaytimeLive, Daytime.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Daytime, { listen: "tls://127.0.0.1:9013?cert=cert.pem&key=key.pem" })),
  NodeServer.launch
)
