import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Call, type Parser, readCall } from "./read.ts"
import { type Bounds, codes, Fault, type Value } from "./values.ts"
import { valueOfFault, writeFault, writeResponse } from "./write.ts"

/** A method, as whoever calls it knows it: by its values. */
export interface Callable<out R> {
  readonly help: string
  readonly signatures: ReadonlyArray<ReadonlyArray<string>>
  readonly call: (params: ReadonlyArray<Value>) => Effect.Effect<Value, Fault, R>
}

export type Methods<R> = ReadonlyMap<string, Callable<R>>

const string = (value: string): Value => ({ _tag: "String", value })
const array = (value: ReadonlyArray<Value>): Value => ({ _tag: "Array", value })

/** A method's answer, or why there is none. What it dies of is its server's to know, and is logged. */
const answer = <R>(methods: Methods<R>, { method, params }: Call): Effect.Effect<Value, Fault, R> => {
  const found = methods.get(method)
  if (found === undefined) return Effect.fail(new Fault(codes.noMethod, "there is no such method"))
  return Effect.catchCause(
    Effect.suspend(() => found.call(params)),
    (cause) => {
      const fault = cause.reasons.find(Cause.isFailReason)?.error
      if (fault !== undefined) return Effect.fail(fault)
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
      return Effect.andThen(
        Effect.logError("a method of XML-RPC failed", cause),
        Effect.fail(new Fault(codes.internalError, "the method failed"))
      )
    }
  )
}

const textParam = (params: ReadonlyArray<Value>): Effect.Effect<string, Fault> => {
  const [name, ...others] = params
  return name?._tag === "String" && others.length === 0
    ? Effect.succeed(name.value)
    : Effect.fail(new Fault(codes.invalidParams, "it takes the name of a method"))
}

/** What every server can be asked about its methods, and many calls in one. */
export const withSystem = <R>(own: Methods<R>, maxCalls: number): Methods<R> => {
  const methods = new Map(own)
  const describe = (help: string, signature: ReadonlyArray<string>, call: Callable<R>["call"]): Callable<R> => ({
    help,
    signatures: [signature],
    call
  })
  const known = (params: ReadonlyArray<Value>) =>
    Effect.flatMap(textParam(params), (name) => {
      const found = methods.get(name)
      return found === undefined
        ? Effect.fail(new Fault(codes.noMethod, "there is no such method"))
        : Effect.succeed(found)
    })
  methods.set(
    "system.listMethods",
    describe("The names of all methods.", ["array"], (params) =>
      params.length > 0
        ? Effect.fail(new Fault(codes.invalidParams, "it takes nothing"))
        : Effect.sync(() => array([...methods.keys()].toSorted().map(string)))
    )
  )
  methods.set(
    "system.methodHelp",
    describe("What a method does.", ["string", "string"], (params) =>
      Effect.map(known(params), ({ help }) => string(help))
    )
  )
  methods.set(
    "system.methodSignature",
    describe("What a method answers and takes: arrays of types, the answer's first.", ["array", "string"], (params) =>
      Effect.map(known(params), ({ signatures }) => array(signatures.map((signature) => array(signature.map(string)))))
    )
  )
  methods.set(
    "system.multicall",
    describe(
      "Calls methods one after the other; each answer is an array of one, or a fault.",
      ["array", "array"],
      (params) =>
        Effect.flatMap(Effect.fromResult(callsOf(params, maxCalls)), (calls) =>
          Effect.map(
            Effect.forEach(calls, (call) =>
              Effect.match(Result.isFailure(call) ? Effect.fail(call.failure) : answer(methods, call.success), {
                onFailure: valueOfFault,
                onSuccess: (value) => array([value])
              })
            ),
            array
          )
        )
    )
  )
  return methods
}

/** The calls that one asks for. Each that is none is a fault of its own. */
const callsOf = (
  params: ReadonlyArray<Value>,
  maxCalls: number
): Result.Result<ReadonlyArray<Result.Result<Call, Fault>>, Fault> => {
  const [calls, ...others] = params
  if (calls?._tag !== "Array" || others.length > 0) {
    return Result.fail(new Fault(codes.invalidParams, "it takes an array of calls"))
  }
  if (calls.value.length > maxCalls) return Result.fail(new Fault(codes.invalidParams, `more than ${maxCalls} calls`))
  return Result.succeed(calls.value.map(callOf))
}

const callOf = (value: Value): Result.Result<Call, Fault> => {
  const [name, params] = value._tag === "Struct" ? [value.value.get("methodName"), value.value.get("params")] : []
  if (name?._tag !== "String" || params?._tag !== "Array") {
    return Result.fail(new Fault(codes.invalidParams, "a call has a methodName and params"))
  }
  // One in another would be more calls than are counted.
  return name.value === "system.multicall"
    ? Result.fail(new Fault(codes.notXmlRpc, "system.multicall cannot call itself"))
    : Result.succeed({ method: name.value, params: params.value })
}

/** Answers the text of a call with that of a response. */
export const respond = <R>(
  Parser: Parser,
  methods: Methods<R>,
  bounds: Bounds,
  text: Result.Result<string, Fault>
): Effect.Effect<string, never, R> => {
  const call = Result.flatMap(text, (text) => readCall(Parser, text, bounds))
  return Result.isFailure(call)
    ? Effect.succeed(writeFault(call.failure))
    : Effect.match(answer(methods, call.success), { onFailure: writeFault, onSuccess: writeResponse })
}
