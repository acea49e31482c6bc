/** The worker of the placement laws. */
import * as NodeServer from "@socketserver/node/NodeServer"
import * as PlacementServers from "@socketserver/testkit/PlacementServers"

NodeServer.launch(PlacementServers.layer)
