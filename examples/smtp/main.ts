/**
 * Takes mail, and keeps it in a Maildir: what is answered with 250 is on disk.
 *
 *   MAILDIR=/tmp/mail LISTEN=tcp://127.0.0.1:2525 node examples/smtp/main.ts
 *
 * In another terminal:
 *
 *   swaks --server 127.0.0.1:2525 --from ada@example.com --to grace@example.org --header 'Subject: hello'
 *   cat /tmp/mail/new/*
 *
 * With STARTTLS_CERT and STARTTLS_KEY, the paths of PEM files, STARTTLS is offered: `swaks --tls …`. Any policy will do
 * without it, but a client keeps its worker for as long as it stays; with it none of workers, which have no socket. PREFORK
 * will do with both.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Mail, MailLive } from "./server.ts"

Layer.mergeAll(MailLive, Mail.announce, Mail.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Mail, { listen: "tcp://127.0.0.1:2525" })),
  NodeServer.launch
)
