/** The documents of XML-RPC, from their bytes: what is read is written and read again, the same. */
import * as Result from "effect/Result"
import { SaxesParser } from "saxes"
import { textOf } from "../src/internal/xmlrpc/document.ts"
import { readCall } from "../src/internal/xmlrpc/read.ts"
import type { Value } from "../src/internal/xmlrpc/values.ts"
import { writeResponse } from "../src/internal/xmlrpc/write.ts"

const bounds = { maxDepth: 16, maxValues: 1_000 }

const seeds = [
  '<?xml version="1.0" encoding="UTF-8"?><methodCall><methodName>a.b</methodName><params><param><value><i4>-5</i4></value></param></params></methodCall>',
  "<methodCall><methodName>m</methodName><params><param><value><struct><member><name>a&amp;b</name><value><array><data>" +
    "<value><i8>9007199254740993</i8></value><value><double>-1.5</double></value><value>&lt;text&#65;<![CDATA[<x>]]></value>" +
    "<value><boolean>1</boolean></value><value><nil/></value></data></array></value></member></struct></value></param>" +
    "<param><value><base64>aGVsbG8=</base64></value></param>" +
    "<param><value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value></param></params></methodCall>",
  "<methodCall><methodName>m</methodName></methodCall>"
]

const textOfValues = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    typeof part === "bigint"
      ? `${part}n`
      : part instanceof Map
        ? [...part]
        : Object.is(part, -0)
          ? "-0"
          : (part as unknown)
  )

export const target = {
  name: "xmlrpc",
  seeds: [
    ...seeds.map((text) => new Uint8Array(Buffer.from(text))),
    new Uint8Array(Buffer.from(`\ufeff${seeds[2]}`, "utf16le"))
  ],
  check: (input: Uint8Array): void => {
    const read = Result.flatMap(textOf(input, undefined), (text) => readCall(SaxesParser, text, bounds))
    if (Result.isFailure(read)) {
      if (!(read.failure.code <= -32_600 && read.failure.code >= -32_702)) throw new Error(read.failure.text)
      return
    }
    const all: Value = { _tag: "Array", value: read.success.params }
    const written = writeResponse(all)
    const call = written
      .replace(/methodResponse>/g, "methodCall>")
      .replace("<methodCall>", "<methodCall><methodName>m</methodName>")
    const again = readCall(SaxesParser, call, { maxDepth: 17, maxValues: 1_001 })
    const same = Result.isSuccess(again) && textOfValues(again.success.params) === textOfValues([all])
    if (!same) throw new Error(`read ${textOfValues(all)}, and again ${textOfValues(again)}`)
  }
}
