/** The values of XML-RPC, as they stand in a document, so that what was read can be written again as it was. */
export type Value =
  | { readonly _tag: "Int"; readonly value: number }
  | { readonly _tag: "I8"; readonly value: bigint }
  | { readonly _tag: "Boolean"; readonly value: boolean }
  | { readonly _tag: "Double"; readonly value: number }
  | { readonly _tag: "String"; readonly value: string }
  | { readonly _tag: "Base64"; readonly value: Uint8Array }
  | { readonly _tag: "DateTime"; readonly value: string }
  | { readonly _tag: "Nil" }
  | { readonly _tag: "Array"; readonly value: ReadonlyArray<Value> }
  | { readonly _tag: "Struct"; readonly value: ReadonlyMap<string, Value> }

/** What is wrong with a document, or with a call; the codes are those that servers agree on. */
export class Fault {
  readonly _tag = "Fault"
  readonly code: number
  readonly text: string
  constructor(code: number, text: string) {
    this.code = code
    this.text = text
  }
}

// https://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php
export const codes = {
  notWellFormed: -32_700,
  unsupportedEncoding: -32_701,
  invalidCharacter: -32_702,
  notXmlRpc: -32_600,
  noMethod: -32_601,
  invalidParams: -32_602,
  internalError: -32_603
} as const

/** How deep and how many values may be. */
export interface Bounds {
  readonly maxDepth: number
  readonly maxValues: number
}
