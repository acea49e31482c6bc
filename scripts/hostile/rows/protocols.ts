/** The examples of protocols under adversaries: those that any server meets, and those that know the protocol. */
import type { Attempt } from "../row.ts"
import { dns } from "../protocols/dns.ts"
import { redis } from "../protocols/redis.ts"
import { attempts } from "../protocols/run.ts"
import { smtp } from "../protocols/smtp.ts"
import { statsd } from "../protocols/statsd.ts"
import { syslog } from "../protocols/syslog.ts"
import { xmlrpc } from "../protocols/xmlrpc.ts"

export const protocols: ReadonlyArray<Attempt> = [redis, dns, syslog, smtp, xmlrpc, statsd].flatMap(attempts)
