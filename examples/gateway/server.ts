/**
 * The gateway and its protocol. Importing this starts nothing: the test and `main.ts` place it.
 *
 * A login is answered with a token, and every other message carries it. So nothing is kept for a connection, and any
 * policy will do, a process for each request too. What must be kept for one is a `Session`'s.
 */
import { Outcome, Protocol, Response, Server } from "@socketserver/core"
import { Config, Effect, Layer, Redacted, Schema } from "effect"
import { createHmac, timingSafeEqual } from "node:crypto"

/** What the gateway knows of its devices: elsewhere, a database. */
const devices: ReadonlyMap<string, { readonly password: string; readonly commands: ReadonlyArray<string> }> = new Map([
  ["pump-7", { password: "open sesame", commands: ["valve 2 open", "report at 12:00"] }],
  ["fan-3", { password: "fresh air", commands: [] }]
])

const from = { id: Schema.Int, device: Schema.String }

const protocol = Protocol.schema(Protocol.json(Protocol.lengthPrefixed()), {
  request: Schema.Union([
    Schema.Struct({ ...from, op: Schema.Literal("login"), password: Schema.String }),
    Schema.Struct({ ...from, op: Schema.Literal("commands"), token: Schema.String }),
    Schema.Struct({ ...from, op: Schema.Literal("average"), token: Schema.String, of: Schema.Array(Schema.Finite) })
  ]),
  response: Schema.Union([
    Schema.Struct({ id: Schema.Int, token: Schema.String }),
    Schema.Struct({ id: Schema.Int, sent: Schema.Int }),
    Schema.Struct({ id: Schema.Int, average: Schema.Finite }),
    Schema.Struct({ id: Schema.Int, error: Schema.String }),
    Schema.Struct({ command: Schema.String })
  ])
})

export class Gateway extends Server.Service<Gateway>()("Gateway", {
  protocol: Protocol.correlated(protocol, { id: (message) => ("id" in message ? message.id : undefined) }),
  key: ({ body }) => body.device
}) {}

const handler =
  (secret: Redacted.Redacted): Server.HandlerOf<typeof Gateway> =>
  ({ body, connection }) =>
    Effect.gen(function* () {
      const sign = (text: string) => createHmac("sha256", Redacted.value(secret)).update(text)
      // Of digests, so that the time it takes tells nothing of either.
      const same = (a: string, b: string) => timingSafeEqual(sign(a).digest(), sign(b).digest())
      const { device, id, op } = body
      const known = devices.get(device)
      const token = sign(`token of ${device}`).digest("base64url")
      const trusted = op === "login" ? same(body.password, known?.password ?? "") : same(body.token, token)
      if (known === undefined || !trusted) {
        const error = op === "login" ? "wrong device or password" : "log in first"
        return Response.andClose(Response.withOutcome(Response.make({ id, error }), Outcome.refused(error)))
      }
      if (op === "login") return Response.make({ id, token })
      if (op === "commands") {
        for (const command of known.commands) yield* Effect.ignore(connection.push({ command }))
        return Response.make({ id, sent: known.commands.length })
      }
      // As if each value came from an archive: a short answer overtakes a long one.
      yield* Effect.sleep(50 * body.of.length)
      return Response.make({ id, average: body.of.reduce((sum, value) => sum + value, 0) / (body.of.length || 1) })
    })

/** Workers sign with the same secret, since they have the same environment. */
const secret = Config.Redacted("GATEWAY_SECRET").pipe(Config.withDefault(Redacted.make("an example's")))

export const GatewayLive = Layer.unwrap(Effect.map(secret, (secret) => Gateway.serve(handler(secret))))
