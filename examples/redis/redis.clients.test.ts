/** Redis' own clients, and its server beside ours: `redis-server`, `redis-tools`, `python3-redis`, and ioredis from npm. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { example, printed, type Program, serving, start } from "../../packages/node/test/support/programs.ts"

/** Whether a program is not there, which is a failure where all of them have to be. */
const lacks = (program: string, of: string, ...args: ReadonlyArray<string>): boolean => {
  const { error, status } = spawnSync(program, args.length > 0 ? args : ["--version"], { stdio: "ignore" })
  if (error === undefined && (args.length === 0 || status === 0)) return false
  console.warn(`${program} is not installed (Debian's ${of}): the tests that talk to it are skipped`)
  return process.env["CI"] === undefined
}

const noTools = lacks("redis-cli", "redis-tools")
const noServer = lacks("redis-server", "redis-server")

const cli = (port: string, ...args: ReadonlyArray<string>) => printed(start("redis-cli", ["-p", port, ...args]))

/** Everything that is answered to some bytes, until the server closes or there is nothing more to come. */
const answersOf = (to: net.NetConnectOpts, input: string | Buffer) =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ allowHalfOpen: true, ...to })
    let got = ""
    socket.setEncoding("latin1")
    socket.on("data", (text) => (got += text))
    socket.on("error", (error) => resume(Effect.die(error)))
    socket.on("end", () => socket.end())
    socket.on("close", () => resume(Effect.succeed(got)))
    socket.write(typeof input === "string" ? Buffer.from(input, "latin1") : input)
    socket.end()
    return Effect.sync(() => socket.destroy())
  })

/** A Redis server of the system on a socket of its own. */
const theirs = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "redis-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const path = join(folder, "redis.sock")
  const args = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder]
  const server = yield* start("redis-server", args)
  yield* server.prints(/Ready to accept connections|server is now ready/i)
  assert.isTrue(existsSync(path))
  return { path }
})

/** What may differ: ids, and what a server says of itself. */
const comparable = (answers: string) => answers.replaceAll(/(\$2\r\nid\r\n):\d+/g, "$1:N")

const scripts: ReadonlyArray<readonly [name: string, input: string]> = (
  [
    [
      "strings",
      "GET a|SET a 1|GET a|SET a 2 NX|SET a 2 XX|SET b 1 XX|SET a 3 GET|SET c 3 GET|SET a 4 NX GET|SET a 4 XX GET|SET a|SET|GET|GET a b|SET a b c|SET a b EX|SET a b EX 0|SET a b EX -1|SET a b EX x|SET a b PX 0|SET a b EX 10 PX 10|SET a b NX XX|SET a b XX NX|SET a b NX NX|SET a b KEEPTTL EX 1|SET a b EX 1 KEEPTTL|SET a b ex 9223372036854775807|SET a b px 9223372036854775807|SET a b ex 9223372036854775|SET a b exat 1|GET a|SET a b pxat 1 get|GET a|SET a b exat 99999999999|TTL nope|SET a b get get|GET a"
    ],
    [
      "numbers",
      "INCR n|INCR n|DECR n|GET n|SET n 9223372036854775806|INCR n|INCR n|GET n|SET n -9223372036854775808|DECR n|INCR n|SET n 01|INCR n|SET n +1|INCR n|SET n -0|INCR n|SET n ''|INCR n|SET n ' 1'|INCR n|SET n 1.5|INCR n|SET n 9223372036854775808|INCR n|SET n 9007199254740991|INCR n|INCR n|DECR n|INCR|DECR a b|SET n -1|INCR n|GET n"
    ],
    [
      "append",
      'APPEND a x|APPEND a yy|GET a|SET a "\\xff"|APPEND a "\\x00\\x01"|GET a|APPEND a|LPUSH l 1|APPEND l x|SET a 1|APPEND a 2|INCR a|APPEND a \'\'|GET a'
    ],
    [
      "many keys",
      "MSET a 1 b 2|MGET a b c|MGET a a|MSET a|MSET a 1 b|MGET|EXISTS a b a c|EXISTS|DEL a a b c|DEL|DBSIZE|DBSIZE a|MSET a 1 a 2|GET a|DEL a|KEYS|KEYS *"
    ],
    [
      "types",
      "SET s 1|LPUSH l 1|HSET h a 1|TYPE s|TYPE l|TYPE h|TYPE no|TYPE|GET l|GET h|INCR l|APPEND h x|LPUSH s 1|RPUSH h 1|LRANGE s 0 1|HSET s a 1|HGET l a|HGETALL s|MGET s l h|SET l x GET|SET l x|GET l|SET h 1 NX|HGET h a"
    ],
    [
      "lists",
      "LPUSH l a b c|RPUSH l d e|LRANGE l 0 -1|LRANGE l -2 -1|LRANGE l 1 1|LRANGE l 5 10|LRANGE l -100 100|LRANGE l 3 1|LRANGE no 0 1|LRANGE l a b|LRANGE l 0|LRANGE l 0 9223372036854775807|LRANGE l -9223372036854775808 0|LRANGE l 0 9223372036854775808|LPUSH l|LPUSH|RPUSH l|LPUSH l \"\\xff\" ''|LRANGE l 0 1|DEL l|LRANGE l 0 -1"
    ],
    [
      "more of strings",
      `SETNX a 1|SETNX a 2|SETNX a|GETSET a 3|GETSET b 4|GETDEL b|GETDEL b|GETDEL|SETEX a 100 x|TTL a|SETEX a 0 x|SETEX a -1 x|SETEX a x x|SETEX a 9223372036854775807 x|PSETEX a 100000 x|PSETEX a 0 x|TTL a|STRLEN a|STRLEN no|GETRANGE a 0 -1|SET a hello|GETRANGE a 1 3|GETRANGE a -3 -2|GETRANGE a -2 -3|GETRANGE a 0 -100|GETRANGE a -100 0|GETRANGE a 9 10|GETRANGE a 3 1|GETRANGE no 0 1|GETRANGE no x 1|GETRANGE a 0 9223372036854775807|SET a ''|GETRANGE a 0 0|APPEND a "\\xff\\xfe"|STRLEN a|GETRANGE a 1 1|PEXPIRE a 100000|TTL a|PEXPIRE a x|PEXPIRE a 1 NX|EXPIREAT a 99999999999|EXPIREAT a 9223372036854775807|PEXPIREAT a 99999999999999|PEXPIREAT a 1|EXISTS a|PTTL a|SET a 1|PTTL a|UNLINK a b|UNLINK|FLUSHDB|FLUSHDB ASYNC|FLUSHDB x|LPUSH l 1|GETSET l x|GETDEL l|SETNX l x|STRLEN l|GETRANGE l 0 1|SETEX l 100 x|TYPE l`
    ],
    [
      "numbers that are added",
      "INCRBY n 5|DECRBY n 7|DECRBY n 0|INCRBY n -3|INCRBY n x|INCRBY n 1.5|INCRBY n|INCRBY n 9223372036854775807|INCRBY n 9223372036854775807|GET n|DECRBY n -9223372036854775808|DECRBY n 9223372036854775807|DECRBY n 9223372036854775807|GET n|INCRBY n 9223372036854775808|SET n x|INCRBY n 1|LPUSH l 1|INCRBY l 1|DECRBY l x|SET n 1 EX 100|INCRBY n 2|TTL n"
    ],
    [
      "lists as queues",
      `LPOP q|RPOP q|LPOP q 1|LPOP q x|LPOP q -1|LPOP q 1 2|LPOP|LPUSHX q a|RPUSHX q a|RPUSH q a b c d e|LLEN q|LLEN no|LLEN|LPOP q|RPOP q|LPUSHX q y z|RPUSHX q f g|LRANGE q 0 -1|LINDEX q 0|LINDEX q -1|LINDEX q 99|LINDEX q -99|LINDEX q x|LINDEX no x|LSET q 0 Z|LSET q -1 G|LSET q 99 x|LSET q x x|LSET no 0 x|LSET no x x|LINSERT q BEFORE b B|LINSERT q after b B|LINSERT q AFTER no B|LINSERT no BEFORE a b|LINSERT q beside a b|LINSERT no beside a b|LREM q 1 B|LREM q 0 B|LREM q -1 c|LREM q x c|LREM no 0 c|LREM no x c|LRANGE q 0 -1|LTRIM q 1 -2|LRANGE q 0 -1|LTRIM q x 1|LTRIM no x 1|LTRIM no 0 1|LPOP q 2|RPOP q 0|RPOP q 99|EXISTS q|RPUSH q a b c|LTRIM q 5 9|EXISTS q|RPUSH q a a a|LREM q -2 a|LRANGE q 0 -1|LREM q 0 a|EXISTS q|RPUSH q a b c|LTRIM q -100 100|LTRIM q 2 1|EXISTS q|RPUSH q "\\xff" b "\\xff"|LREM q 0 "\\xff"|LRANGE q 0 -1|LPOP q 9223372036854775807|SET s 1|LPOP s|RPOP s 1|LLEN s|LINDEX s 0|LINDEX s x|LSET s 0 x|LSET s x x|LINSERT s BEFORE a b|LREM s 0 a|LTRIM s 0 1|LPUSHX s 1|HELLO 3|LPOP q 1|LPOP q|HELLO 2`
    ],
    [
      "fields of hashes",
      "HSETNX h a 1|HSETNX h a 2|HSETNX h a|HMSET h b two c 3|HMSET h b|HMSET h b 1 c|HLEN h|HLEN no|HEXISTS h a|HEXISTS h no|HEXISTS no a|HSTRLEN h b|HSTRLEN h no|HSTRLEN no b|HMGET h a no c|HMGET no a b|HMGET h|HKEYS h|HVALS h|HKEYS no|HVALS no|HINCRBY h a 41|HINCRBY h n 1|HINCRBY h b 1|HINCRBY h a x|HINCRBY h a 9223372036854775807|HINCRBY h a -9223372036854775808|HINCRBY no a 9223372036854775807|HINCRBY no a 1|HINCRBY no|HDEL h a a no|HDEL h|HDEL no a|HDEL h b c n x|EXISTS h|SET s 1|HSETNX s a 1|HMSET s a 1|HLEN s|HEXISTS s a|HSTRLEN s a|HMGET s a|HKEYS s|HVALS s|HINCRBY s a 1|HINCRBY s a x|HDEL s a|HELLO 3|HMGET no a|HKEYS no|HSET h a 1|HVALS h|HELLO 2"
    ],
    [
      "hashes",
      "HSET h a 1 b 2|HSET h a 3 c 4|HGET h a|HGET h no|HGET no a|HGETALL h|HGETALL no|HSET h|HSET h a|HSET h a 1 b|HGET h|HGETALL|HSET h \"\\xff\" \"\\xfe\"|HGETALL h|HSET h '' ''|HGET h ''|HSET h x 1 x 2|HGET h x"
    ],
    [
      "expiry",
      "SET k v|TTL k|EXPIRE k 100|TTL k|EXPIRE k 50 NX|EXPIRE k 200 GT|TTL k|EXPIRE k 300 LT|EXPIRE k 100 LT|TTL k|PERSIST k|TTL k|PERSIST k|EXPIRE k 10 XX|EXPIRE k 10 GT|EXPIRE k 10 LT|TTL k|EXPIRE k 10 FOO|EXPIRE k 10 NX XX|EXPIRE k 10 NX GT|EXPIRE k 10 GT LT|EXPIRE k x|EXPIRE k|EXPIRE k 9223372036854775807|EXPIRE k -9223372036854775807|EXPIRE no 10|EXPIRE k -1|EXISTS k|SET k v EX 100|SET k w KEEPTTL|TTL k|SET k w|TTL k|SET k 1 EX 100|INCR k|APPEND k 0|TTL k|LPUSH l 1|EXPIRE l 100|LPUSH l 2|TTL l|EXPIRE l 0|EXISTS l|TTL|PERSIST"
    ],
    [
      "databases",
      "SET a 0|SELECT 1|GET a|SET a 1|DBSIZE|SELECT 0|GET a|SELECT 16|SELECT -1|SELECT x|SELECT|SELECT 2147483648|SELECT 15|FLUSHALL ASYNC|FLUSHALL SYNC|FLUSHALL x|FLUSHALL a b|SELECT 1|GET a"
    ],
    [
      "connection",
      "PING|PING a|PING a b|ECHO a|ECHO|ECHO a b|HELLO|HELLO 2|HELLO 4|HELLO x|HELLO 3 FOO|HELLO 2 SETNAME|HELLO 2 SETNAME a|CLIENT GETNAME|HELLO 2 AUTH a|HELLO 2 AUTH foo bar|HELLO 2 AUTH default x SETNAME b|CLIENT GETNAME|CLIENT|CLIENT FOO|CLIENT SETNAME|CLIENT SETNAME \"a b\"|CLIENT SETNAME c|CLIENT GETNAME|CLIENT SETNAME ''|CLIENT GETNAME|CLIENT ID x|CONFIG|CONFIG GET|CONFIG FOO|CONFIG GET save|CONFIG GET appendonly|CONFIG GET databases|CONFIG GET timeout|CONFIG GET nosuch|CONFIG RESETSTAT|COMMAND FOO|RESET|RESET a|CLIENT NO-EVICT on|CLIENT NO-EVICT x"
    ],
    [
      "unknown",
      'FOO|foo a b|FOO "a\\r\\nb" \'c\'|"f\\no"|"a\'b"|' +
        `FOO ${"a".repeat(200)} b|FOO ${Array.from({ length: 20 }, () => "a".repeat(20)).join(" ")}|${"f".repeat(200)} x`
    ],
    [
      "transactions",
      "MULTI|SET a 1|INCR a|GET a|EXEC|GET a|MULTI|MULTI|EXEC|EXEC|DISCARD|MULTI|SET a 9|DISCARD|GET a|MULTI|FOO|SET a 9|EXEC|GET a|MULTI|GET|EXEC|MULTI|LPUSH a x|INCR a|EXEC|MULTI|EXEC|MULTI|HELLO 3|GET no|HGETALL no|EXEC|GET no|HELLO 2|MULTI|SELECT 3|SET x 1|EXEC|GET x|SELECT 0|MULTI|SELECT 99|EXEC|MULTI|RESET|EXEC|MULTI a|EXEC a|DISCARD a|MULTI|PING|ECHO a|PING a b|DBSIZE|TYPE a|EXEC|MULTI|QUIT|PING"
    ],
    [
      "subscriptions",
      "SUBSCRIBE a b|GET x|PING|PING hi|SUBSCRIBE a|SET x|FOO|UNSUBSCRIBE a zz|UNSUBSCRIBE|UNSUBSCRIBE|GET x|PSUBSCRIBE a* *|PUNSUBSCRIBE a*|PUNSUBSCRIBE|PUNSUBSCRIBE no|SUBSCRIBE|PSUBSCRIBE|PUBLISH|PUBLISH a b|SUBSCRIBE c|HELLO 3|MULTI|RESET|PING|MULTI|SUBSCRIBE q w|SET x 1|EXEC|PING|UNSUBSCRIBE q|UNSUBSCRIBE w|PSUBSCRIBE p|QUIT|PING"
    ],
    [
      "RESP3",
      "HELLO 3|HELLO 3|GET no|HSET h a 1|HGETALL h|HGETALL no|MGET a no|CLIENT GETNAME|CONFIG GET save|SUBSCRIBE a|PUBLISH a hi|PING|GET no|PSUBSCRIBE a*|PUBLISH a hi|UNSUBSCRIBE|PUNSUBSCRIBE|MULTI|HGETALL h|GET no|SUBSCRIBE x y|EXEC|SET l 1 GET|LPUSH q 1 2|LRANGE q 0 -1|HELLO 2|HGETALL h|GET no|RESET|HGETALL h"
    ]
  ] as const
).map(([name, commands]) => [name, `FLUSHALL\r\n${commands.split("|").join("\r\n")}\r\nQUIT\r\n`] as const)

/** What is no request, each on a connection of its own. */
const faults = [
  "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n:1\r\n",
  "*1\r\nPING\r\n",
  "*abc\r\n",
  "*01\r\n",
  "*+1\r\n",
  "* 1\r\n",
  "*-1\r\nPING\r\n",
  "*-10\r\nPING\r\n",
  "*3000000000\r\n",
  "*1\r\n$-1\r\n",
  "*1\r\n$abc\r\n",
  "*1\r\n$600000000\r\n",
  "*1\r\n$2147483648\r\n",
  "*0\r\nPING\r\n",
  "\r\nPING\r\n",
  "   \r\nPING\r\n",
  "*1\r\n\r\n",
  'SET a "b\r\n',
  "SET a 'b'c\r\n",
  'SET "a\\x41\\n" \'q\\\'r\'\r\nGET "a\\x41\\n"\r\n',
  'SET a"b" c\r\nGET ab\r\n',
  "x".repeat(70_000),
  "PING\r\nPING\nPING\r\n",
  "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n"
]

/** Numbers by seed (mulberry32), so that what was found is found again. */
const chance = (seed: number) => {
  let state = seed + 1
  const float = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    int: (least: number, most: number) => least + Math.floor(float() * (most - least + 1)),
    pick: <A>(of: ReadonlyArray<A>): A => of[Math.floor(float() * of.length)]!
  }
}

/** A thousand commands at random, of few keys, so that they meet. */
const drawn = (seed: number): string => {
  const random = chance(seed)
  const key = () => random.pick(["a", "b", "c", "d"])
  const word = () => random.pick(["0", "7", "x", "", "\xff", "long enough to be no short string", "-3"])
  const field = () => random.pick(["f", "g", "h"])
  const commands: ReadonlyArray<() => ReadonlyArray<string>> = [
    () => ["GET", key()],
    () => ["SET", key(), word()],
    () => ["SET", key(), word(), random.pick(["NX", "XX", "GET", "KEEPTTL", "nx"])],
    () => ["SET", key(), word(), "EX", random.pick(["100", "200", "0", "x"])],
    () => ["DEL", key(), key()],
    () => ["EXISTS", key(), key()],
    () => [random.pick(["INCR", "DECR"]), key()],
    () => ["APPEND", key(), word()],
    () => ["MGET", key(), key()],
    () => ["MSET", key(), word(), key(), word()],
    () => ["EXPIRE", key(), random.pick([String(random.int(100, 9_999)), "-1"])],
    () => ["EXPIRE", key(), String(random.int(100, 9_999)), random.pick(["NX", "XX", "GT", "LT"])],
    () => ["TTL", key()],
    () => ["PERSIST", key()],
    () => ["TYPE", key()],
    () => ["DBSIZE"],
    () => ["LPUSH", key(), word(), word()],
    () => ["RPUSH", key(), word()],
    () => ["LRANGE", key(), String(random.int(-4, 4)), String(random.int(-4, 4))],
    () => ["HSET", key(), field(), word()],
    () => ["HGET", key(), field()],
    () => ["HGETALL", key()],
    () => [random.pick(["INCRBY", "DECRBY"]), key(), random.pick(["1", "-5", "x", "9223372036854775807"])],
    () => [random.pick(["SETNX", "GETSET"]), key(), word()],
    () => [random.pick(["GETDEL", "STRLEN", "LLEN", "HLEN", "HKEYS", "HVALS"]), key()],
    () => ["GETRANGE", key(), String(random.int(-4, 4)), String(random.int(-4, 4))],
    () => [random.pick(["LPOP", "RPOP"]), key()],
    () => [random.pick(["LPOP", "RPOP"]), key(), random.pick(["0", "1", "2", "-1", "x"])],
    () => [random.pick(["LPUSHX", "RPUSHX"]), key(), word(), word()],
    () => ["LINDEX", key(), String(random.int(-4, 4))],
    () => ["LSET", key(), String(random.int(-4, 4)), word()],
    () => ["LINSERT", key(), random.pick(["BEFORE", "after", "x"]), word(), word()],
    () => ["LREM", key(), String(random.int(-2, 2)), word()],
    () => ["LTRIM", key(), String(random.int(-6, 2)), String(random.int(-2, 6))],
    () => ["HSETNX", key(), field(), word()],
    () => ["HINCRBY", key(), field(), random.pick(["1", "-5", "x", "9223372036854775807"])],
    () => ["HMGET", key(), field(), field()],
    () => ["HDEL", key(), field(), field()],
    () => [random.pick(["HEXISTS", "HSTRLEN"]), key(), field()],
    () => ["MULTI"],
    () => ["EXEC"],
    () => ["DISCARD"],
    () => ["SELECT", random.pick(["0", "1"])],
    () => [random.pick(["get", "Get", "gEt"]), key()],
    () => ["NOPE", key()],
    () => ["GET"]
  ]
  const arrays = Array.from({ length: 1_000 }, () => {
    const words = random.pick(commands)()
    return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`
  })
  return `FLUSHALL\r\n${arrays.join("")}QUIT\r\n`
}

describe.skipIf(noServer)("beside redis-server", () => {
  it.live("answers the same bytes", () =>
    Effect.gen(function* () {
      const { path } = yield* theirs
      const { port } = yield* serving("redis")
      const ours = { host: "127.0.0.1", port: Number(port) }
      const all = [
        ...scripts,
        ...faults.map((input) => [JSON.stringify(input.slice(0, 40)), input] as const),
        ...Array.from({ length: 10 }, (_, seed) => [`drawn by ${seed}`, drawn(seed)] as const)
      ]
      for (const [name, input] of all) {
        const expected = comparable(yield* answersOf({ path }, input))
        assert.deepStrictEqual(comparable(yield* answersOf(ours, input)).split("\r\n"), expected.split("\r\n"), name)
      }
    })
  )
})

/** What a command says of itself, as both servers have it: not what ours has none of. */
const described = (info: unknown) => (info as ReadonlyArray<unknown>).slice(0, 7)

describe.skipIf(noServer)("beside redis-server", () => {
  it.live("says the same of its commands", () =>
    Effect.gen(function* () {
      const { path } = yield* theirs
      const { port } = yield* serving("redis")
      const clients = [new Redis(path), new Redis(Number(port), "127.0.0.1")] as const
      yield* Effect.addFinalizer(() => Effect.sync(() => clients.forEach((client) => client.disconnect())))
      yield* Effect.promise(async () => {
        const [theirs, ours] = clients
        for (const name of (await ours.call("COMMAND", "LIST")) as ReadonlyArray<string>) {
          const info = (client: Redis) => client.call("COMMAND", "INFO", name) as Promise<ReadonlyArray<unknown>>
          const sorted = ([info]: ReadonlyArray<unknown>) =>
            described(info).map((part) => (Array.isArray(part) ? part.toSorted() : part))
          assert.deepStrictEqual(sorted(await info(ours)), sorted(await info(theirs)), name)
          const docs = async (client: Redis) => {
            const [, words = []] = (await client.call("COMMAND", "DOCS", name)) as [string, Array<string>]
            return ["summary", "since", "group"].map((word) => words[words.indexOf(word) + 1])
          }
          assert.deepStrictEqual(await docs(ours), await docs(theirs), name)
        }
      })
    })
  )
})

describe.skipIf(noTools)("redis-cli and redis-benchmark", () => {
  it.live("are answered", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      assert.strictEqual(yield* cli(port, "set", "name", "Ada Lovelace", "ex", "60"), "OK\n")
      assert.strictEqual(yield* cli(port, "get", "name"), "Ada Lovelace\n")
      assert.strictEqual(yield* cli(port, "--no-raw", "incr", "visits"), "(integer) 1\n")
      assert.strictEqual(yield* cli(port, "-3", "--no-raw", "hset", "h", "a", "1"), "(integer) 1\n")
      assert.strictEqual(yield* cli(port, "-3", "--no-raw", "hgetall", "h"), '1# "a" => "1"\n')
      assert.match(yield* cli(port, "info", "server"), /redis_version:7/)
      assert.strictEqual(yield* cli(port, "-n", "3", "dbsize"), "0\n")
      assert.include(yield* cli(port, "command", "info", "get"), "readonly")
      assert.match(
        yield* cli(port, "client", "list"),
        /^id=\d+ addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ name= age=0 /
      )
      assert.match(yield* cli(port, "info"), /# Server\r?\n[^]*total_commands_processed:\d+[^]*db0:keys=3,expires=1/)
    })
  )

  it.live("hear what is published", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      for (const version of ["-2", "-3"]) {
        const listener = yield* start("redis-cli", [version, "-p", port, "subscribe", "news"])
        yield* listener.prints(/subscribe\nnews\n1/)
        assert.strictEqual(yield* cli(port, "publish", "news", "hello"), "1\n")
        yield* listener.prints(/message\nnews\nhello/)
        yield* listener.signal("SIGKILL")
        yield* listener.end
        while ((yield* cli(port, "info", "stats")).includes("pubsub_channels:1")) continue
      }
    })
  )

  it.live.each(["1", "16"])("measure it with %s outstanding", (depth) =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      const args = ["-p", port, "-q", "--csv", "-t", "set,get", "-n", "2000", "-c", "20", "-P", depth]
      assert.match(yield* printed(start("redis-benchmark", args)), /"SET",[^]*"GET",/)
    })
  )
})

describe("ioredis", () => {
  const connected = (port: string) =>
    Effect.acquireRelease(
      Effect.sync(() => new Redis(Number(port), "127.0.0.1")),
      (redis) => Effect.sync(() => redis.disconnect())
    )

  it.live("sets, gets, pipelines and transacts", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      const redis = yield* connected(port)
      yield* Effect.promise(async () => {
        assert.strictEqual(await redis.set("a", "ça va?", "EX", 60), "OK")
        assert.strictEqual(await redis.get("a"), "ça va?")
        assert.deepStrictEqual(await redis.getBuffer("a"), Buffer.from("ça va?"))
        assert.strictEqual(await redis.hset("h", { x: "1", y: "2" }), 2)
        assert.deepStrictEqual(await redis.hgetall("h"), { x: "1", y: "2" })
        const pipeline = redis.pipeline()
        for (let i = 0; i < 1_000; i++) pipeline.incr("n")
        const results = await pipeline.exec()
        assert.deepStrictEqual(
          results?.map(([error, value]) => [error, value]),
          results?.map((_, i) => [null, i + 1])
        )
        assert.deepStrictEqual(await redis.multi().set("b", "1").incr("b").get("b").exec(), [
          [null, "OK"],
          [null, 2],
          [null, "2"]
        ])
        const wrong = await redis.lpush("a", "x").catch((error: Error) => error.message)
        assert.strictEqual(wrong, "WRONGTYPE Operation against a key holding the wrong kind of value")
        const large = Buffer.alloc(1_000_000, 255)
        await redis.set("large", large)
        assert.isTrue(large.equals((await redis.getBuffer("large"))!))
      })
    })
  )

  it.live("publishes and subscribes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      const [listener, publisher] = [yield* connected(port), yield* connected(port)]
      yield* Effect.promise(async () => {
        const heard: Array<ReadonlyArray<unknown>> = []
        const all = new Promise<void>((resolve) => {
          const take = (...what: ReadonlyArray<unknown>) => {
            if (heard.push(what) === 3) resolve()
          }
          listener.on("message", take)
          listener.on("pmessage", take)
        })
        assert.strictEqual(await listener.subscribe("a", "b"), 2)
        assert.strictEqual(await listener.psubscribe("a*"), 3)
        assert.strictEqual(await publisher.publish("a", "1"), 2)
        assert.strictEqual(await publisher.publish("ab", "2"), 1)
        await all
        assert.deepStrictEqual(heard, [
          ["a", "1"],
          ["a*", "a", "1"],
          ["a*", "ab", "2"]
        ])
        await listener.unsubscribe("a", "b")
        await listener.punsubscribe("a*")
        assert.strictEqual(await listener.get("nope"), null)
      })
    })
  )
})

/** Debian's Python, which has Debian's packages. */
const systemPython = "/usr/bin/python3"

const noRedisPy = lacks(systemPython, "python3-redis", "-c", "import redis")

describe.skipIf(noRedisPy)("redis-py", () => {
  it.live("counts, and keeps lists and hashes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("redis")
      const said = yield* printed(
        start(systemPython, [
          "-c",
          `
import redis
r = redis.Redis(port=${port}, decode_responses=True)
print(r.incr("n"), r.incr("n", 4), r.decr("n", 2), r.incrby("n", 10))
print(r.setnx("a", "1"), r.setex("a", 60, "word"), r.strlen("a"), r.getset("a", "ça"), r.get("a"), r.pttl("a"))
print(r.rpush("l", "a", "b", "c"), r.lpop("l"), r.rpop("l", 5), r.llen("l"), r.lpop("l"))
print(r.hset("h", mapping={"a": "1", "b": "2"}), r.hincrby("h", "a", 4), r.hmget("h", "a", "c"), r.hkeys("h"), r.hdel("h", "a", "b"), r.exists("h"))
print(r.pipeline().incr("n", 2).lpush("l", "x").execute(), r.delete("n", "l", "a"), r.dbsize())
`
        ])
      )
      assert.deepStrictEqual(said.split("\n"), [
        "1 5 3 13",
        "True True 4 word ça -1",
        "3 a ['c', 'b'] 0 None",
        "2 5 ['5', None] ['a', 'b'] 2 0",
        "[15, 1] 3 0",
        ""
      ])
    })
  )
})

describe("under adversaries", () => {
  /** What each does with a connection of its own, again and again. None of them reads. */
  const adversaries: Readonly<Record<string, (socket: net.Socket, n: number) => void>> = {
    "says nothing": () => {},
    "never reads": (socket) => void socket.write("*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(1_000)),
    "a bomb of depth": (socket) => void socket.write("*1\r\n".repeat(100_000)),
    "a bomb of length": (socket) => void socket.write("*1048576\r\n$1048576\r\n"),
    "byte by byte": (socket, n) => {
      const command = Buffer.from(`*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000\r\n`)
      let at = 0
      const drip = setInterval(
        () => {
          if (socket.destroyed || at === command.length) clearInterval(drip)
          else socket.write(command.subarray(at, ++at))
        },
        5 + (n % 5)
      )
      socket.on("close", () => clearInterval(drip))
    },
    "resets within a request": (socket) => {
      socket.write("*2\r\n$3\r\nGET\r\n$5\r\nlar")
      socket.resetAndDestroy()
    },
    noise: (socket, n) =>
      void socket.write(Buffer.from({ length: 5_000 }).map((_, i) => (i * 7919 + n * 104_729) % 251)),
    "queues without end": (socket) => void socket.write(`MULTI\r\n${`SET a ${"x".repeat(1_000)}\r\n`.repeat(500)}`),
    "subscribes without end": (socket, n) => {
      socket.write(Array.from({ length: 500 }, (_, i) => `SUBSCRIBE ${n}-${i}${"x".repeat(500)}\r\n`).join(""))
    },
    "a pattern without end": (socket) => void socket.write(`KEYS ${"*a".repeat(5_000)}b\r\n`)
  }

  const rss = (program: Program) =>
    Number(spawnSync("ps", ["-o", "rss=", "-p", String(program.pid)], { encoding: "utf8" }).stdout) / 1024

  it.live("serves others, and holds no more than it may", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("redis", { MAX_MEMORY: "64MiB", MAX_STORE: "64MiB" })
      const open = () => net.connect({ port: Number(port), host: "127.0.0.1" }).on("error", () => {})
      const victim = new Redis(Number(port), "127.0.0.1")
      yield* Effect.addFinalizer(() => Effect.sync(() => victim.disconnect()))
      yield* Effect.promise(() => victim.set("large", "x".repeat(100_000)))
      const before = rss(server)
      for (const [name, attack] of Object.entries(adversaries)) {
        const sockets = Array.from({ length: 40 }, open)
        yield* Effect.promise(async () => {
          for (const [n, socket] of sockets.entries()) {
            if (socket.connecting) await new Promise((resolve) => socket.once("connect", resolve))
            attack(socket, n)
          }
          for (let i = 0; i < 20; i++) assert.strictEqual(await victim.ping(String(i)), String(i), name)
        })
        assert.isBelow(rss(server) - before, 64 * 1.5 + 64 + 120, name)
        for (const socket of sockets) socket.destroy()
      }
      victim.disconnect()
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )
})

describe("a start and a stop", () => {
  it.live("answers what it has received before SIGTERM", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("redis")
      const got = yield* Effect.callback<string>((resume) => {
        const socket = net.connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true })
        let text = ""
        socket.setEncoding("latin1").on("data", (more) => {
          if (text === "") process.kill(server.pid, "SIGTERM")
          text += more
        })
        socket.on("end", () => socket.end())
        socket.on("close", () => resume(Effect.succeed(text)))
        // A peer that writes to who reads no more may be reset, as TCP has it.
        socket.on("error", () => resume(Effect.succeed(text)))
        socket.write("INCR n\r\n".repeat(2_000))
        return Effect.sync(() => socket.destroy())
      })
      const numbers = got.split("\r\n").slice(0, -1)
      assert.isAbove(numbers.length, 0)
      assert.deepStrictEqual(
        numbers,
        numbers.map((_, i) => `:${i + 1}`)
      )
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.all, new RegExp(`stopped Redis in \\d+ ms: ${numbers.length} completed, 0 interrupted`))
    })
  )

  it.live.each(["POLICY=pool:2", "POLICY=thread:2", "POLICY=process", "PREFORK=2"])(
    "is refused with %s, in one line",
    (setting) =>
      Effect.gen(function* () {
        const [name = "", value = ""] = setting.split("=")
        const program = yield* example("redis", { [name]: value })
        assert.deepStrictEqual(yield* program.end, { code: 1, signal: null })
        assert.strictEqual(program.stdout, "")
        assert.match(program.all, /^[^\n]*would have keys, subscriptions and transactions of its own[^\n]*\n$/)
      })
  )
})
