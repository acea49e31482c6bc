import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Policy } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import { ConfigProvider, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { specs } from "./connection.ts"
import { Effort, matches } from "./glob.ts"
import { Redis, RedisLive } from "./server.ts"

const place = (env: Readonly<Record<string, string>> = {}) =>
  Layer.provideMerge(RedisLive, MemoryServer.layer(Redis)).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

const inMemory =
  (env?: Readonly<Record<string, string>>) =>
  <A, E, R>(test: Effect.Effect<A, E, R>) =>
    test.pipe(Effect.scoped, Effect.provide(place(env)))

type Client = Effect.Success<typeof Redis.client>

/** What is answered to a command of words without spaces in them. */
const ask = (client: Client, text: string) =>
  Effect.map(client.send(Resp.command(...(text.split(" ") as [string]))), Resp.plain)

const asked = (client: Client, ...texts: ReadonlyArray<string>) => Effect.forEach(texts, (text) => ask(client, text))

const error = Resp.error
const wrongType = error("WRONGTYPE Operation against a key holding the wrong kind of value")
const noInteger = error("ERR value is not an integer or out of range")

describe("examples/redis", () => {
  it.effect.each<[string, ReadonlyArray<readonly [command: string, answer: unknown]>]>([
    [
      "strings",
      [
        ["GET a", null],
        ["SET a 1", "OK"],
        ["GET a", "1"],
        ["set a 2 NX", null],
        ["SET b 2 XX", null],
        ["SET a 2 XX GET", "1"],
        ["SET c 3 GET", null],
        ["APPEND a 34", 3],
        ["GET a", "234"],
        ["INCR a", 235],
        ["DECR d", -1],
        ["INCR word", 1],
        ["MSET x 1 y 2", "OK"],
        ["MGET x y z", ["1", "2", null]],
        ["EXISTS x y x z", 3],
        ["DEL x y z", 2],
        ["TYPE a", "string"],
        ["TYPE nope", "none"],
        ["DBSIZE", 4],
        ["FLUSHALL", "OK"],
        ["DBSIZE", 0]
      ]
    ],
    [
      "strings that are set on conditions, and read in parts",
      [
        ["SETNX a 1", 1],
        ["SETNX a 2", 0],
        ["GETSET a 3", "1"],
        ["GETSET b 4", null],
        ["GETDEL b", "4"],
        ["GETDEL b", null],
        ["EXISTS b", 0],
        ["SETEX a 100 hello", "OK"],
        ["TTL a", 100],
        ["PSETEX a 5000 hello", "OK"],
        ["PTTL a", 5_000],
        ["SETEX a 0 x", error("ERR invalid expire time in 'setex' command")],
        ["PEXPIRE a 7000", 1],
        ["TTL a", 7],
        ["PEXPIRE a x", noInteger],
        ["EXPIREAT a -1", 1],
        ["EXISTS a", 0],
        ["SET a hello", "OK"],
        ["STRLEN a", 5],
        ["STRLEN nope", 0],
        ["GETRANGE a 1 -2", "ell"],
        ["GETRANGE a -100 1", "he"],
        ["GETRANGE a 3 1", ""],
        ["GETRANGE nope 0 -1", ""],
        ["UNLINK a nope", 1],
        ["SET x 1", "OK"],
        ["SELECT 1", "OK"],
        ["FLUSHDB", "OK"],
        ["SELECT 0", "OK"],
        ["DBSIZE", 1]
      ]
    ],
    [
      "numbers that are added",
      [
        ["INCRBY n 5", 5],
        ["DECRBY n 7", -2],
        ["INCRBY n -3", -5],
        ["DECRBY n -5", 0],
        ["DECRBY n 0", 0],
        ["INCRBY n x", noInteger],
        ["INCRBY n 9223372036854775807", "9223372036854775807"],
        ["INCRBY n 1", error("ERR increment or decrement would overflow")],
        ["DECRBY n -9223372036854775808", error("ERR decrement would overflow")],
        ["LPUSH l 1", 1],
        ["INCRBY l 1", wrongType]
      ]
    ],
    [
      "integers of 64 bits",
      [
        ["SET n 9007199254740993", "OK"],
        ["INCR n", "9007199254740994"],
        ["SET n 9223372036854775807", "OK"],
        ["INCR n", error("ERR increment or decrement would overflow")],
        ["SET n 01", "OK"],
        ["INCR n", error("ERR value is not an integer or out of range")]
      ]
    ],
    [
      "lists",
      [
        ["LPUSH l a b c", 3],
        ["RPUSH l d e", 5],
        ["LRANGE l 0 -1", ["c", "b", "a", "d", "e"]],
        ["LRANGE l -2 100", ["d", "e"]],
        ["LRANGE l 3 1", []],
        ["LRANGE nope 0 1", []],
        ["TYPE l", "list"],
        ["GET l", wrongType],
        ["HSET l a 1", wrongType],
        ["MGET l", [null]],
        ["SET l 1", "OK"],
        ["LPUSH l 1", wrongType]
      ]
    ],
    [
      "lists as queues",
      [
        ["LPOP q", null],
        ["LPUSHX q a", 0],
        ["RPUSH q a b c d", 4],
        ["LLEN q", 4],
        ["LPOP q", "a"],
        ["RPOP q", "d"],
        ["RPUSHX q e", 3],
        ["LPUSHX q z", 4],
        ["LINDEX q 0", "z"],
        ["LINDEX q -1", "e"],
        ["LINDEX q 9", null],
        ["LSET q 1 B", "OK"],
        ["LSET q 9 B", error("ERR index out of range")],
        ["LSET nope 0 B", error("ERR no such key")],
        ["LINSERT q before B y", 5],
        ["LINSERT q AFTER B y", 6],
        ["LINSERT q after nope y", -1],
        ["LINSERT q beside B y", error("ERR syntax error")],
        ["LRANGE q 0 -1", ["z", "y", "B", "y", "c", "e"]],
        ["LREM q -1 y", 1],
        ["LRANGE q 0 -1", ["z", "y", "B", "c", "e"]],
        ["LTRIM q 1 -2", "OK"],
        ["LPOP q 2", ["y", "B"]],
        ["LPOP q -1", error("ERR value is out of range, must be positive")],
        ["RPOP q 0", []],
        ["RPOP q 9", ["c"]],
        ["EXISTS q", 0],
        ["LPOP q 1", null],
        ["LLEN q", 0],
        ["SET s 1", "OK"],
        ["LLEN s", wrongType],
        ["LPOP s", wrongType]
      ]
    ],
    [
      "fields of hashes",
      [
        ["HSETNX h a 1", 1],
        ["HSETNX h a 2", 0],
        ["HMSET h b two c 3", "OK"],
        ["HLEN h", 3],
        ["HEXISTS h a", 1],
        ["HEXISTS h nope", 0],
        ["HSTRLEN h b", 3],
        ["HMGET h a nope c", ["1", null, "3"]],
        ["HMGET nope a b", [null, null]],
        ["HKEYS h", ["a", "b", "c"]],
        ["HVALS h", ["1", "two", "3"]],
        ["HINCRBY h a 41", 42],
        ["HINCRBY h b 1", error("ERR hash value is not an integer")],
        ["HINCRBY h a x", noInteger],
        ["HDEL h a a nope", 1],
        ["HDEL h b c", 2],
        ["EXISTS h", 0],
        ["HKEYS h", []],
        ["HLEN h", 0],
        ["SET s 1", "OK"],
        ["HDEL s a", wrongType],
        ["HMGET s a", wrongType]
      ]
    ],
    [
      "hashes",
      [
        ["HSET h a 1 b 2", 2],
        ["HSET h b 3 c 4", 1],
        ["HGET h b", "3"],
        ["HGET h nope", null],
        ["HGET nope a", null],
        ["HGETALL h", ["a", "1", "b", "3", "c", "4"]],
        ["HGETALL nope", []],
        ["TYPE h", "hash"],
        ["HSET h a", error("ERR wrong number of arguments for 'hset' command")]
      ]
    ],
    [
      "keys by patterns",
      [
        ["MSET one 1 two 2 three 3", "OK"],
        ["KEYS t*", ["two", "three"]],
        ["KEYS *e", ["one", "three"]],
        ["KEYS t[hw]?*", ["two", "three"]],
        ["KEYS nope", []]
      ]
    ],
    [
      "databases",
      [
        ["SET a 1", "OK"],
        ["SELECT 3", "OK"],
        ["GET a", null],
        ["SELECT 0", "OK"],
        ["GET a", "1"],
        ["SELECT 16", error("ERR DB index is out of range")],
        ["SELECT x", error("ERR value is not an integer or out of range")]
      ]
    ],
    [
      "errors, in Redis' words",
      [
        ["FOO", error("ERR unknown command 'FOO', with args beginning with: ")],
        ["FOO a b", error("ERR unknown command 'FOO', with args beginning with: 'a' 'b' ")],
        ["GET", error("ERR wrong number of arguments for 'get' command")],
        ["SET a b FOO", error("ERR syntax error")],
        ["SET a b NX XX", error("ERR syntax error")],
        ["SET a b EX", error("ERR syntax error")],
        ["SET a b EX 10 KEEPTTL", error("ERR syntax error")],
        ["SET a b EX 0", error("ERR invalid expire time in 'set' command")],
        ["SET a b PX x", error("ERR value is not an integer or out of range")],
        ["EXPIRE a 1 FOO", error("ERR Unsupported option FOO")],
        ["CLIENT FOO", error("ERR unknown subcommand 'FOO'. Try CLIENT HELP.")],
        ["CLIENT SETNAME", error("ERR wrong number of arguments for 'client|setname' command")],
        ["HELLO 4", error("NOPROTO unsupported protocol version")],
        ["constructor", error("ERR unknown command 'constructor', with args beginning with: ")],
        ["CLIENT constructor", error("ERR unknown subcommand 'constructor'. Try CLIENT HELP.")]
      ]
    ],
    [
      "its connection",
      [
        ["PING", "PONG"],
        ["PING hi", "hi"],
        ["ECHO hi", "hi"],
        ["CLIENT GETNAME", null],
        ["CLIENT SETNAME me", "OK"],
        ["CLIENT GETNAME", "me"],
        ["RESET", "RESET"],
        ["CLIENT GETNAME", null],
        ["CONFIG GET save appendonly", ["appendonly", "no", "save", ""]],
        ["COMMAND COUNT", 75],
        ["QUIT", "OK"]
      ]
    ]
  ])("knows %s", ([, commands]) =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      for (const [command, answer] of commands) {
        const got = yield* ask(client, command)
        assert.deepStrictEqual(typeof got === "bigint" ? String(got) : got, answer, command)
      }
    }).pipe(inMemory())
  )

  it.effect("keeps bytes as they are", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
      yield* client.send(Resp.command("SET", bytes, bytes))
      yield* client.send(Resp.command("APPEND", bytes, bytes))
      yield* client.send(Resp.command("HSET", "h", bytes, bytes))
      const twice = Uint8Array.from([...bytes, ...bytes])
      assert.deepStrictEqual(yield* client.send(Resp.command("GET", bytes)), Resp.bulk(twice))
      assert.deepStrictEqual(yield* client.send(Resp.command("KEYS", "*\xff")), Resp.array([]))
      assert.deepStrictEqual(yield* client.send(Resp.command("KEYS", "?[^a]*")), Resp.array([Resp.bulk(bytes)]))
      assert.deepStrictEqual(
        yield* client.send(Resp.command("HGETALL", "h")),
        Resp.array([Resp.bulk(bytes), Resp.bulk(bytes)])
      )
    }).pipe(inMemory())
  )

  it("has the commands that its page lists, and no others", () => {
    const page = readFileSync(new URL("../../docs/how-to/serve-redis-clients.md", import.meta.url), "utf8")
    const [, section = ""] = page.split("### Its commands\n")
    // What stands in parentheses are options.
    const rows = [...section.matchAll(/^\| [a-z ]+ \| (.*) \|$/gm)].map(([, row = ""]) =>
      row.replaceAll(/\([^)]*\)|; no .*/g, "")
    )
    const listed = rows.flatMap((row) => [...row.matchAll(/`([A-Z]+)`/g)].map(([, name = ""]) => name.toLowerCase()))
    assert.deepStrictEqual(listed.toSorted(), [...specs.keys()].toSorted())
  })

  it.effect("lets go of what is taken away, and takes from both ends of a long list in its order", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const used = Effect.map(ask(client, "INFO memory"), (text) => /used_memory_dataset:\d+/.exec(String(text))?.[0])
      const before = yield* used
      const words = Array.from({ length: 1_000 }, (_, i) => String(i))
      yield* client.send(Resp.command("RPUSH", "l", ...words))
      yield* client.send(Resp.command("HSET", "h", ...words))
      const got: Array<unknown> = []
      for (let i = 0; i < 500; i++) got.push(...(yield* asked(client, "LPOP l", "RPOP l")))
      assert.deepStrictEqual(
        got,
        words.slice(0, 500).flatMap((word, i) => [word, words[999 - i]])
      )
      yield* ask(client, `HDEL h ${words.join(" ")}`)
      for (const last of ["LTRIM m 1 0", "LREM m 0 b"]) yield* asked(client, "RPUSH m b b b", last)
      yield* asked(client, "RPUSH n a b", "LSET n 0 long", "LINSERT n before b c", "LTRIM n 2 -1", "LREM n 1 b")
      assert.strictEqual(yield* used, before)
      assert.strictEqual(yield* ask(client, "DBSIZE"), 0)
    }).pipe(inMemory())
  )

  it.effect("sends what a value was, whatever is appended to it", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* ask(client, "SET a 0")
      const appends = Array.from({ length: 40 }, (_, i) => [`APPEND a ${i % 10}`, "GET a"]).flat()
      const answers = yield* Effect.forEach(appends, (text) => ask(client, text), { concurrency: "unbounded" })
      let value = "0"
      for (let i = 0; i < 40; i++) {
        value += i % 10
        assert.deepStrictEqual(answers.slice(2 * i, 2 * i + 2), [value.length, value])
      }
    }).pipe(inMemory())
  )

  it.effect("lets keys go when their time has come, also those that nobody asks for", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* asked(client, "SET a 1 EX 10", "SET b 2 PX 1530", "SET c 3", "EXPIRE c 20", "HSET h f v", "EXPIRE h 1")
      assert.deepStrictEqual(
        yield* asked(client, "TTL a", "TTL b", "TTL c", "TTL nope", "PERSIST c", "TTL c", "PERSIST c"),
        [10, 2, 20, -2, 1, -1, 0]
      )
      yield* TestClock.adjust("1529 millis")
      assert.deepStrictEqual(yield* asked(client, "GET b", "EXISTS h", "TTL a"), ["2", 0, 8])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* asked(client, "GET b", "KEYS *"), [null, ["a", "c"]])
      yield* asked(client, "SET a 2 KEEPTTL", "INCR a", "APPEND a 0")
      assert.deepStrictEqual(yield* asked(client, "TTL a"), [8])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* asked(client, "DBSIZE", "INFO keyspace"), [
        1,
        "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"
      ])
      assert.deepStrictEqual(yield* asked(client, "SET d 1 EX 10", "SET d 2", "TTL d"), ["OK", "OK", -1])
      assert.deepStrictEqual(yield* asked(client, "EXPIRE d -1", "EXISTS d"), [1, 0])
    }).pipe(inMemory())
  )

  it.effect("goes by no time of day", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* ask(client, "SET a 1 EX 10")
      yield* ask(client, `SET b 2 EXAT 5`)
      assert.deepStrictEqual(yield* asked(client, "TTL a", "TTL b"), [10, 5])
    }).pipe(inMemory())
  )

  it.effect("removes what is gone a little at a time", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      for (let i = 0; i < 60; i++) {
        yield* client.send(Resp.command("MSET", ...Array.from({ length: 100 }, (_, j) => `${i * 50 + (j >> 1)}`)))
      }
      const keys = Array.from({ length: 3_000 }, (_, i) => `EXPIRE ${i} 1`)
      yield* Effect.forEach(keys, (text) => ask(client, text), { concurrency: "unbounded" })
      assert.strictEqual(yield* ask(client, "DBSIZE"), 3_000)
      yield* TestClock.adjust("1100 millis")
      assert.strictEqual(yield* ask(client, "DBSIZE"), 0)
    }).pipe(inMemory())
  )

  it.effect("does a transaction at once, or nothing of it", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* Redis.client, yield* Redis.client]
      assert.deepStrictEqual(yield* asked(one, "MULTI", "SET a 1", "INCR a", "GET a"), [
        "OK",
        "QUEUED",
        "QUEUED",
        "QUEUED"
      ])
      assert.strictEqual(yield* ask(other, "GET a"), null)
      assert.deepStrictEqual(yield* asked(one, "EXEC", "GET a"), [["OK", 2, "2"], "2"])
      assert.deepStrictEqual(yield* asked(one, "MULTI", "SET a 9", "DISCARD", "GET a"), ["OK", "QUEUED", "OK", "2"])
      assert.deepStrictEqual(yield* asked(one, "MULTI", "SET a 9", "NOPE", "EXEC", "GET a"), [
        "OK",
        "QUEUED",
        error("ERR unknown command 'NOPE', with args beginning with: "),
        error("EXECABORT Transaction discarded because of previous errors."),
        "2"
      ])
      // What fails when it runs does not undo the others.
      assert.deepStrictEqual(yield* asked(one, "MULTI", "LPUSH a x", "INCR a", "EXEC"), [
        "OK",
        "QUEUED",
        "QUEUED",
        [wrongType, 3]
      ])
      assert.deepStrictEqual(yield* asked(one, "EXEC", "DISCARD", "MULTI", "MULTI", "EXEC"), [
        error("ERR EXEC without MULTI"),
        error("ERR DISCARD without MULTI"),
        "OK",
        error("ERR MULTI calls can not be nested"),
        []
      ])
    }).pipe(inMemory())
  )

  it.effect("answers in RESP3 whoever asks for it", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const send = (text: string) => client.send(Resp.command(...(text.split(" ") as [string])))
      yield* asked(client, "HSET h a 1")
      assert.strictEqual((yield* send("HELLO 3"))._tag, "Map")
      assert.strictEqual((yield* send("HGETALL h"))._tag, "Map")
      assert.deepStrictEqual(yield* send("GET nope"), Resp.nil)
      assert.strictEqual((yield* send("INFO server"))._tag, "VerbatimString")
      assert.strictEqual((yield* send("CONFIG GET save"))._tag, "Map")
      yield* send("RESET")
      assert.strictEqual((yield* send("HGETALL h"))._tag, "Array")
      assert.deepStrictEqual(yield* send("GET nope"), { _tag: "Null", form: "bulk" })
    }).pipe(inMemory())
  )

  /** Writes a command, and takes so many replies. */
  const taking = (client: Client, text: string, count = 1) =>
    Effect.gen(function* () {
      yield* client.write(Resp.command(...(text.split(" ") as [string])))
      return yield* Effect.map(
        Effect.forEach(Array.from({ length: count }), () => client.take),
        (replies) => replies.map(Resp.plain)
      )
    })

  it.effect("sends to subscribers what is published, by channel and by pattern", () =>
    Effect.gen(function* () {
      const [listener, publisher] = [yield* Redis.client, yield* Redis.client]
      assert.deepStrictEqual(yield* taking(listener, "SUBSCRIBE a b", 2), [
        ["subscribe", "a", 1],
        ["subscribe", "b", 2]
      ])
      assert.deepStrictEqual(yield* taking(listener, "PSUBSCRIBE a*"), [["psubscribe", "a*", 3]])
      assert.deepStrictEqual(yield* asked(publisher, "PUBLISH a 1", "PUBLISH ab 2", "PUBLISH c 3"), [2, 1, 0])
      assert.deepStrictEqual([yield* listener.take, yield* listener.take, yield* listener.take].map(Resp.plain), [
        ["message", "a", "1"],
        ["pmessage", "a*", "a", "1"],
        ["pmessage", "a*", "ab", "2"]
      ])
      // In RESP2 nothing else is understood meanwhile.
      assert.deepStrictEqual(yield* taking(listener, "GET a"), [
        error(
          "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
      ])
      assert.deepStrictEqual(yield* taking(listener, "PING"), [["pong", ""]])
      assert.deepStrictEqual(yield* taking(listener, "UNSUBSCRIBE", 2), [
        ["unsubscribe", "a", 2],
        ["unsubscribe", "b", 1]
      ])
      assert.deepStrictEqual(yield* taking(listener, "UNSUBSCRIBE"), [["unsubscribe", null, 1]])
      assert.deepStrictEqual(yield* taking(listener, "PUNSUBSCRIBE a*"), [["punsubscribe", "a*", 0]])
      assert.deepStrictEqual(yield* taking(listener, "PING"), ["PONG"])
      assert.deepStrictEqual(yield* asked(publisher, "PUBLISH a 1"), [0])
    }).pipe(inMemory())
  )

  it.effect("pushes in RESP3, between the replies of whoever goes on asking", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* client.send(Resp.command("HELLO", 3))
      yield* client.write(Resp.command("SUBSCRIBE", "a"))
      yield* client.write(Resp.command("PUBLISH", "a", "hi"))
      yield* client.write(Resp.command("PING"))
      const replies = [yield* client.take, yield* client.take, yield* client.take, yield* client.take]
      assert.deepStrictEqual(
        replies.map(({ _tag }) => _tag),
        ["Push", "Push", "Integer", "SimpleString"]
      )
      assert.deepStrictEqual(replies.map(Resp.plain), [["subscribe", "a", 1], ["message", "a", "hi"], 1, "PONG"])
    }).pipe(inMemory())
  )

  it.effect("forgets who has left", () =>
    Effect.gen(function* () {
      const publisher = yield* Redis.client
      yield* Effect.scoped(Effect.flatMap(Redis.client, (client) => taking(client, "SUBSCRIBE a")))
      yield* Effect.yieldNow
      const counts = Effect.map(ask(publisher, "INFO stats"), String)
      let said = yield* counts
      for (let i = 0; i < 100 && !said.includes("pubsub_channels:0"); i++) said = yield* counts
      assert.include(said, "pubsub_channels:0")
      assert.deepStrictEqual(yield* ask(publisher, "PUBLISH a 1"), 0)
    }).pipe(inMemory())
  )

  const fields = (line: unknown) =>
    new Map(
      String(line)
        .trim()
        .split(" ")
        .map((pair) => pair.split("=", 2) as [string, string])
    )
  const section = (text: unknown) =>
    new Map(
      String(text)
        .split("\r\n")
        .filter((line) => line.includes(":"))
        .map((line) => line.split(":", 2) as [string, string])
    )

  it.effect("says who is connected, of whom all are, some, or oneself", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* Redis.client, yield* Redis.client]
      yield* asked(one, "CLIENT SETNAME one", "CLIENT SETINFO LIB-NAME lib", "CLIENT SETINFO lib-ver 1.2", "SELECT 3")
      yield* taking(two, "SUBSCRIBE a b", 2)
      yield* TestClock.adjust("5 seconds")
      const own = fields(yield* ask(one, "CLIENT INFO"))
      for (const [name, value] of Object.entries({
        name: "one",
        db: "3",
        flags: "N",
        cmd: "client",
        age: "5",
        idle: "0"
      })) {
        assert.strictEqual(own.get(name), value, name)
      }
      assert.deepStrictEqual([own.get("lib-name"), own.get("lib-ver"), own.get("resp")], ["lib", "1.2", "2"])
      const lines = (text: string) =>
        Effect.map(ask(one, text), (all) =>
          String(all)
            .split("\n")
            .filter((line) => line !== "")
        )
      assert.lengthOf(yield* lines("CLIENT LIST"), 2)
      const [subscriber = ""] = yield* lines("CLIENT LIST TYPE pubsub")
      const other = fields(subscriber)
      assert.deepStrictEqual(
        ["flags", "sub", "psub", "cmd", "idle", "multi"].map((name) => other.get(name)),
        ["P", "2", "0", "subscribe", "5", "-1"]
      )
      assert.lengthOf(yield* lines(`CLIENT LIST ID ${own.get("id")}`), 1)
      assert.lengthOf(yield* lines("CLIENT LIST ID 99 100"), 0)
      yield* asked(one, "MULTI", "CLIENT LIST")
      const [queued] = (yield* ask(one, "EXEC")) as ReadonlyArray<string>
      assert.isTrue(fields(queued).has("laddr"))
    }).pipe(inMemory())
  )

  it.effect("closes the connections that somebody names", () =>
    Effect.gen(function* () {
      const [one, two, three] = [yield* Redis.client, yield* Redis.client, yield* Redis.client]
      const id = (client: Client) => ask(client, "CLIENT ID")
      const [, second, third] = [yield* id(one), yield* id(two), yield* id(three)]
      yield* taking(three, "SUBSCRIBE a")
      assert.deepStrictEqual(
        yield* asked(
          one,
          "CLIENT KILL ID 99",
          `CLIENT KILL ID ${second}`,
          "CLIENT KILL TYPE pubsub",
          "CLIENT KILL ADDR nobody"
        ),
        [0, 1, 1, 0]
      )
      for (const gone of [two, three]) assert.deepStrictEqual(yield* Stream.runCollect(gone.stream), [])
      let left = yield* ask(one, "CLIENT LIST")
      for (let i = 0; i < 100 && String(left).split("\n").length > 2; i++) left = yield* ask(one, "CLIENT LIST")
      assert.lengthOf(String(left).trim().split("\n"), 1)
      assert.notInclude(String(left), `id=${third} `)
      assert.deepStrictEqual(
        yield* asked(
          one,
          "CLIENT KILL nobody",
          "CLIENT KILL ID x",
          "CLIENT KILL ID 1 TYPE",
          "CLIENT KILL TYPE nothing",
          "CLIENT KILL USER nobody",
          "CLIENT LIST TYPE nothing",
          "CLIENT LIST ID x",
          "CLIENT LIST x",
          "CLIENT SETINFO LIB-NAME a\nb",
          "CLIENT SETINFO lib x"
        ),
        [
          error("ERR No such client"),
          error("ERR client-id should be greater than 0"),
          error("ERR syntax error"),
          error("ERR Unknown client type 'nothing'"),
          error("ERR No such user 'nobody'"),
          error("ERR Unknown client type 'nothing'"),
          error("ERR Invalid client ID"),
          error("ERR syntax error"),
          error("ERR lib-name cannot contain spaces, newlines or special characters."),
          error("ERR Unrecognized option 'lib'")
        ]
      )
      // Oneself, and then there is an answer first.
      yield* one.write(Resp.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"))
      assert.deepStrictEqual((yield* Stream.runCollect(one.stream)).map(Resp.plain), [1])
    }).pipe(inMemory())
  )

  it.effect("tells what it counts, by sections", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* asked(
        client,
        "SET a 1",
        "GET a",
        "GET b",
        "MGET a b c",
        "HGET h x",
        "SET e 1 PX 10",
        "TTL a",
        "EXISTS a no"
      )
      yield* TestClock.adjust("2 seconds")
      const stats = section(yield* ask(client, "INFO stats"))
      assert.deepStrictEqual(
        [
          "total_connections_received",
          "total_commands_processed",
          "keyspace_hits",
          "keyspace_misses",
          "expired_keys"
        ].map((name) => stats.get(name)),
        ["1", "9", "4", "5", "1"]
      )
      assert.strictEqual(stats.get("rejected_connections"), "0")
      assert.isAbove(Number(stats.get("total_net_input_bytes")), 100)
      const all = String(yield* ask(client, "INFO"))
      assert.deepStrictEqual(
        [...all.matchAll(/^# (\w+)/gm)].map(([, name]) => name),
        ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Cluster", "Keyspace"]
      )
      const told = section(all)
      assert.strictEqual(told.get("uptime_in_seconds"), "2")
      assert.strictEqual(told.get("connected_clients"), "1")
      assert.match(told.get("run_id") ?? "", /^[0-9a-f]{40}$/)
      assert.deepStrictEqual(
        [...String(yield* ask(client, "INFO clients keyspace")).matchAll(/^# (\w+)/gm)].map(([, name]) => name),
        ["Clients", "Keyspace"]
      )
      assert.strictEqual(yield* ask(client, "INFO nothing"), "")
    }).pipe(inMemory())
  )

  it.effect("says of every command what it is, and where its keys are", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const names = (yield* ask(client, "COMMAND LIST")) as ReadonlyArray<string>
      assert.lengthOf(names, 75)
      const infos = (yield* ask(client, "COMMAND INFO")) as ReadonlyArray<ReadonlyArray<unknown>>
      assert.deepStrictEqual(
        infos.map(([name]) => name),
        [...names]
      )
      assert.isTrue(infos.every((info) => info.length === 10))
      const docs = (yield* ask(client, "COMMAND DOCS")) as ReadonlyArray<unknown>
      assert.lengthOf(docs, 150)
      for (let i = 1; i < docs.length; i += 2) {
        const words = docs[i] as ReadonlyArray<string>
        assert.deepStrictEqual([words[0], words[2], words[4], words[6]], ["summary", "since", "group", "complexity"])
        assert.isTrue(
          words.every((word) => word !== ""),
          `${docs[i - 1]}`
        )
      }
      assert.deepStrictEqual(yield* asked(client, "COMMAND INFO nope", "COMMAND DOCS nope"), [[null], []])
      assert.deepStrictEqual(
        yield* asked(
          client,
          "COMMAND GETKEYS mset a 1 b 2",
          "COMMAND GETKEYS MGET a b c",
          "COMMAND GETKEYS get a",
          "COMMAND GETKEYS ping",
          "COMMAND GETKEYS get",
          "COMMAND GETKEYS nope a"
        ),
        [
          ["a", "b"],
          ["a", "b", "c"],
          ["a"],
          error("ERR The command has no key arguments"),
          error("ERR Invalid number of arguments specified for command"),
          error("ERR Invalid command specified")
        ]
      )
    }).pipe(inMemory())
  )

  it.effect("cuts off a subscriber who does not read, and nobody else", () =>
    Effect.gen(function* () {
      const [slow, quick, publisher] = [yield* Redis.rawClient, yield* Redis.client, yield* Redis.client]
      yield* slow.write(new TextEncoder().encode("SUBSCRIBE a\r\n"))
      assert.include(new TextDecoder().decode(yield* slow.take), "subscribe")
      yield* taking(quick, "SUBSCRIBE a")
      const message = "x".repeat(100_000)
      const heard: Array<number> = []
      for (let i = 0; i < 80; i++) {
        heard.push((yield* ask(publisher, `PUBLISH a ${message}`)) as number)
        yield* quick.take
      }
      // It was told as long as what waits for it is bounded.
      assert.deepStrictEqual([heard[0], heard.at(-1)], [2, 1])
      const cut = heard.indexOf(1)
      assert.isAbove(cut, 4 * 10)
      assert.isBelow(cut, 60)
      assert.strictEqual(yield* ask(publisher, "PING"), "PONG")
    }).pipe(inMemory())
  )

  it.effect("adds nothing more when it is full", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const full = error("OOM command not allowed when used memory > 'maxmemory'.")
      yield* client.send(Resp.command("SET", "a", "x".repeat(70_000)))
      assert.deepStrictEqual(yield* asked(client, "SET b 1", "LPUSH l 1", "HSET h a 1", "INCR n", "APPEND a 1"), [
        full,
        full,
        full,
        full,
        full
      ])
      assert.deepStrictEqual(yield* asked(client, "EXISTS a b", "CONFIG GET maxmemory", "DEL a", "SET b 1"), [
        1,
        ["maxmemory", "65536"],
        1,
        "OK"
      ])
      yield* asked(client, ...Array.from({ length: 50 }, (_, i) => `SET ${i} ${"v".repeat(1_000)}`))
      yield* ask(client, "FLUSHALL")
      assert.include(yield* ask(client, "INFO memory"), "used_memory:0\r\n")
    }).pipe(inMemory({ MAX_STORE: "64KiB" }))
  )

  it.effect.each([
    ["MULTI", ...Array.from({ length: 300 }, () => `GET ${"k".repeat(100)}`)],
    Array.from({ length: 300 }, (_, i) => `SUBSCRIBE ${"c".repeat(100)}${i}`),
    [`SUBSCRIBE ${Array.from({ length: 300 }, (_, i) => `${"c".repeat(100)}${i}`).join(" ")}`]
  ])("cuts off who queues or subscribes without an end, and nobody else", (commands) =>
    Effect.gen(function* () {
      const [modest, greedy, client] = [yield* Redis.client, yield* Redis.client, yield* Redis.client]
      yield* asked(modest, "MULTI", "SET a 1")
      for (const text of commands) {
        yield* Effect.ignore(greedy.write(Resp.command(...(text.split(" ") as [string]))))
      }
      yield* Stream.runDrain(greedy.stream)
      assert.deepStrictEqual(yield* asked(client, "SET b 2", "CONFIG GET maxmemory-clients"), [
        "OK",
        ["maxmemory-clients", "16384"]
      ])
      assert.deepStrictEqual(yield* ask(modest, "EXEC"), ["OK"])
      yield* ask(client, "FLUSHALL")
      assert.include(yield* ask(client, "INFO memory"), "used_memory:0\r\n")
    }).pipe(inMemory({ MAX_STORE: "64KiB" }))
  )

  it.effect("counts what it keeps, and nothing is left of it", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* asked(
        client,
        "SET a 1",
        "SET a 22",
        "APPEND a 333",
        "SET a 4",
        "LPUSH l 1 2",
        "HSET h a 1 b 2",
        "HSET h a 22"
      )
      yield* asked(client, "SET e 1 PX 1", "EXPIRE l 1", "MULTI", "GET a", "EXEC")
      yield* TestClock.adjust("2 seconds")
      yield* asked(client, "DEL a h")
      assert.include(yield* ask(client, "INFO memory"), "used_memory:0\r\n")
    }).pipe(inMemory())
  )

  it.effect("answers what would be too much with an error", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* client.send(Resp.command("SET", "a", "x".repeat(1_000_000)))
      const much = error("ERR the reply would have more than 7340032 bytes")
      assert.deepStrictEqual(yield* ask(client, `MGET${" a".repeat(100_000)}`), much)
      yield* ask(client, "MULTI")
      for (let i = 0; i < 10; i++) yield* ask(client, "GET a")
      const answers = (yield* ask(client, "EXEC")) as ReadonlyArray<unknown>
      assert.deepStrictEqual([answers.length, answers.at(-1)], [10, much])
      assert.deepStrictEqual(yield* ask(client, "PING"), "PONG")
    }).pipe(inMemory())
  )

  it("looks for no pattern for ever", () => {
    const effort = new Effort(1_000_000)
    assert.isFalse(matches(`*${"a".repeat(2_000)}b`, "a".repeat(100_000), effort))
    assert.isTrue(effort.isOver)
    const [pattern, text] = ["*b", `${"a".repeat(100)}b`] as const
    assert.deepStrictEqual(
      [50, 5_000].map((steps) => matches(pattern, text, new Effort(steps))),
      [false, true]
    )
  })

  it.each([
    ["*", "", true],
    ["a*b?c", "aXXbYc", true],
    ["a*b?c", "abc", false],
    ["[a-c]x", "bx", true],
    ["[c-a]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["[^a-c]x", "dx", true],
    ["[\\]]", "]", true],
    ["[a", "a", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a\\", "a\\", true],
    ["*?", "a", true],
    ["a**", "a", true],
    ["", "a", false],
    ["?", "", false]
  ])("matches %j and %j as Redis does: %s", (pattern, text, is) => {
    assert.strictEqual(matches(pattern, text, new Effort()), is)
  })

  /** Sends text, half-closes, and reads until the server closes. */
  const said = (text: string) =>
    Effect.gen(function* () {
      const connection = yield* Redis.rawClient
      yield* connection.write(new TextEncoder().encode(text))
      yield* connection.end
      return yield* connection.stream.pipe(Stream.decodeText, Stream.mkString)
    })

  it.effect("understands who types by hand, and who speaks something else", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* said("SET \"a b\" 1\r\nget 'a b'\nQUIT\nPING\n"), "+OK\r\n$1\r\n1\r\n+OK\r\n")
      assert.strictEqual(
        yield* said("PING\r\n*1\r\n$abc\r\nPING\r\n"),
        "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"
      )
      assert.strictEqual(yield* said("POST / HTTP/1.1\r\nHost: a\r\n\r\nPING\r\n"), "")
      assert.strictEqual(yield* said("MULTI\r\nSET a 1\r\nQUIT\r\n"), "+OK\r\n+QUEUED\r\n+OK\r\n")
    }).pipe(inMemory())
  )

  it.effect("answers at a stop what it has received", () =>
    Effect.gen(function* () {
      const server = yield* Redis
      const connection = yield* Redis.rawClient
      yield* connection.write(new TextEncoder().encode("PING\r\n".repeat(1_000)))
      const text = yield* Effect.forkChild(connection.stream.pipe(Stream.decodeText, Stream.mkString))
      while ((yield* server.begun) === 0) yield* Effect.yieldNow
      const { counts, interrupted } = yield* server.shutdown
      assert.strictEqual(interrupted, 0)
      assert.lengthOf((yield* Fiber.join(text)).split("\r\n"), counts.Completed + 1)
    }).pipe(inMemory())
  )

  const policies: ReadonlyArray<readonly [string, Policy.Policy]> = [
    ["thread:2", { ...Policy.fiber(), name: "thread:2", worker: "thread" }],
    ["pool:2", { ...Policy.fiber(), name: "pool:2", worker: "process" }]
  ]

  it.effect.each(policies)("does not start where its keys would be in several workers: %s", ([name, policy]) =>
    Effect.gen(function* () {
      const started = Layer.build(Layer.provide(place(), Policy.layer(policy)))
      const problem = yield* Effect.flip(Effect.scoped(started))
      assert.strictEqual(
        problem.message,
        `Cannot run handlers of Redis under the policy "${name}": each worker would have keys, subscriptions and transactions of its own; take a policy without workers, as fiber`
      )
    })
  )

  it.effect.each([Policy.sequential, Policy.fiber(), Policy.connection()])("does the same under $name", (policy) =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const texts = Array.from({ length: 100 }, () => "INCR a")
      assert.deepStrictEqual(
        yield* Effect.forEach(texts, (text) => ask(client, text), { concurrency: "unbounded" }),
        texts.map((_, i) => i + 1)
      )
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(place(), Policy.layer(policy))))
  )

  it.effect("says what is wrong with MAX_STORE", () =>
    Effect.gen(function* () {
      const problem = yield* Effect.flip(Effect.scoped(Layer.build(place({ MAX_STORE: "much" }))))
      assert.include(problem.message, 'MAX_STORE: must be a size, not "much"')
    })
  )
})
