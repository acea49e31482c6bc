/**
 * Collects the log messages of other programs, over UDP and a Unix datagram socket at once, with one handler.
 *
 *   LISTEN=udp://127.0.0.1:5514,unixgram:///tmp/syslog.sock node examples/syslog/main.ts
 *
 * In another terminal:
 *
 *   logger -n 127.0.0.1 -P 5514 -d 'over the network'    # udp user.notice root: over the network
 *   logger -u /tmp/syslog.sock -p mail.err 'by a path'   # unixgram mail.err root: by a path
 *   echo 'no priority' | socat - udp:127.0.0.1:5514      # nothing is printed, and the log says why
 *
 * Nobody is answered: `Response.empty` sends no datagram.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Syslog, SyslogLive } from "./server.ts"

Layer.mergeAll(SyslogLive, Syslog.announce, Syslog.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Syslog, { listen: "udp://127.0.0.1:5514" })),
  NodeServer.launch
)
