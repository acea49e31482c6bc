import * as Policy from "@socketserver/core/Policy"
import * as PolicyLaws from "@socketserver/testkit/PolicyLaws"

PolicyLaws.suite({ policy: Policy.sequential, max: 1, order: "received" })
PolicyLaws.suite({ policy: Policy.fiber(), max: 1_024, order: "none" })
PolicyLaws.suite({ policy: Policy.fiber({ max: 2 }), max: 2, order: "none" })
PolicyLaws.suite({ policy: Policy.connection(), max: 1_024, order: "connection" })
PolicyLaws.suite({ policy: Policy.connection({ max: 2 }), max: 2, order: "connection" })
PolicyLaws.suite({ policy: Policy.keyed(), max: 1_024, order: "key" })
PolicyLaws.suite({ policy: Policy.keyed({ max: 2 }), max: 2, order: "key" })
PolicyLaws.suite({ policy: Policy.finishing(Policy.sequential), max: 1, order: "received" })
PolicyLaws.suite({ policy: Policy.finishing(Policy.fiber({ max: 2 })), max: 2, order: "none" })
