/** The name server and its zone. Importing this starts nothing: the test and `main.ts` place it. */
import { Server } from "@socketserver/core"
import * as Dns from "@socketserver/protocols/Dns"
import { Config, Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { answer, read } from "./zone.ts"

export class Names extends Server.Service<Names>()("Dns", {
  protocol: Dns.protocol(),
  key: ({ body }) => body.question?.name
}) {}

const file = Config.String("ZONE").pipe(Config.withDefault(fileURLToPath(new URL("zone.json", import.meta.url))))

/** Each worker and each copy reads the zone by itself: nothing is shared, and any policy will do. */
export const NamesLive = Layer.unwrap(
  Effect.gen(function* () {
    const zone = yield* read(yield* file)
    return Names.serve(
      Dns.handler(({ question }) => Effect.succeed(answer(zone, question))),
      { onUndecodable: Dns.onUndecodable }
    )
  })
)
