/**
 * Collects the log messages of other programs, over every transport at once, with one handler.
 *
 *   LISTEN=udp://127.0.0.1:5514,tcp://127.0.0.1:5514,unixgram:///tmp/syslog.sock node examples/syslog/main.ts
 *
 * It prints a line for each. In another terminal:
 *
 *   logger -n 127.0.0.1 -P 5514 -d -t app 'over the network'             # user.notice HOST app: over the network
 *   logger -n 127.0.0.1 -P 5514 -T --octet-count --rfc5424=notime,nohost -t app $'two\nlines'
 *                                                                        # user.notice - app: two#012lines
 *   logger -u /tmp/syslog.sock -p mail.err -t app 'by a path'            # mail.err - app: by a path
 *   echo 'no priority' | socat - udp:127.0.0.1:5514                      # nothing is printed, and the log says why
 *
 * With `FILE=messages.log` it appends to that file, each line whole under every policy and `PREFORK`. SIGHUP opens it
 * again, as logrotate wants it: `mv messages.log messages.1 && kill -HUP PID`. Under `PREFORK` SIGHUP starts new copies,
 * which open it anew; workers see for themselves that it was moved. At a stop, what was received is written first.
 *
 * Nobody is answered: `Response.empty` sends nothing.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Collector, CollectorLive } from "./server.ts"

Layer.mergeAll(CollectorLive, Collector.announce, Collector.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Collector, { listen: "udp://127.0.0.1:5514" })),
  NodeServer.launch
)
