import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Request from "@socketserver/core/Request"
import type * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Simulation from "@socketserver/core/Simulation"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Law, Running, Watch } from "../Laws.ts"
import type { Broken, Scenario, Step, Subject } from "../Scenario.ts"
import { addressOf, largestOf, Peer } from "./players.ts"
import { kindsOf, waits } from "./waiting.ts"

/** What a scenario has shown. */
export interface Played {
  readonly broken: ReadonlyArray<Broken>
  /** Stands for all that has happened, and when. */
  readonly hash: string
  readonly millis: number
  readonly turns: number
  /** How many requests have had an outcome. */
  readonly requests: number
  readonly trace: ReadonlyArray<string>
  /** Who waits for what, when it should have been settled. */
  readonly waits: ReadonlyArray<string>
  /** What took effect. */
  readonly sometimes: ReadonlyArray<string>
}

// How long, from the heal on, everything may take until everybody has what is owed to them, in virtual time, beside the handlers.
const settleMillis = 20_000

export const play = <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  scenario: Scenario,
  laws: ReadonlyArray<Law>,
  options: { readonly trace?: boolean | undefined } = {}
): Played => {
  const game = new Game(subject, scenario, laws)
  const { ended, exit, hash, millis, seen, trace, turns } = Simulation.runSync(
    Effect.provideService(game.program, References.MinimumLogLevel, "None"),
    {
      seed: scenario.seed,
      shuffle: scenario.shuffle,
      opsBeforeYield: scenario.ops,
      turnRequests: scenario.turnRequests,
      turnShare: scenario.turnShare,
      trace: options.trace,
      maxTurns: 200_000
    }
  )
  // What ends otherwise has not been looked at to its end.
  if (exit?._tag !== "Success") {
    const why = exit === undefined ? ended : Cause.pretty(exit.cause)
    game.broken.push({ law: "ends", what: `the run does not end by itself: ${why}` })
  }
  return {
    broken: game.broken,
    hash,
    millis,
    turns,
    requests: game.requests,
    trace,
    waits: game.waits,
    sometimes: [...game.sometimes, ...seen]
  }
}

class Game<Self, In, Out> {
  readonly broken: Array<Broken> = []
  readonly sometimes = new Set<string>()
  requests = 0
  waits: ReadonlyArray<string> = []
  private readonly subject: Subject<Self, In, Out>
  private readonly scenario: Scenario
  private readonly watches: ReadonlyArray<readonly [string, Watch]>
  private readonly peers: ReadonlyArray<Peer>
  private handlers = 0
  private world!: Simulation.World["Service"]
  private server: Server.Server<In, Out> | undefined
  private hasFailed = false
  private stoppedAt: number | undefined
  private report: Outcome.Report | undefined
  private quietSince: number | undefined
  private pending = 0
  private healed = false

  constructor(subject: Subject<Self, In, Out>, scenario: Scenario, laws: ReadonlyArray<Law>) {
    this.subject = subject
    this.scenario = scenario
    this.peers = scenario.peers.map((script) => new Peer(script))
    const running: Running = {
      scenario,
      handlerMillis: subject.handlerMillis,
      largest: largestOf(subject, scenario),
      isElsewhere: !["sequential", "fiber"].includes(subject.policies[scenario.policy]?.worker ?? ""),
      now: () => this.world.now(),
      peers: this.peers,
      quietWaits: () => (this.quietSince === undefined ? 0 : this.world.now() - this.quietSince),
      handlers: () => this.handlers,
      connections: () => Effect.runSync((this.server as Server.Server<In, Out>).connections),
      holdings: () => Simulation.holdings(this.server as Server.Server<In, Out>),
      counts: () => Effect.runSync((this.server as Server.Server<In, Out>).counts),
      hasFailed: () => this.hasFailed,
      stoppedAt: () => this.stoppedAt,
      report: () => this.report
    }
    this.watches = laws.map((law) => [law.name, law.watch(running)])
  }

  /** The first that breaks a law is what is said of it. */
  private look(what: (watch: Watch) => string | undefined): void {
    for (const [law, watch] of this.watches) {
      const found = what(watch)
      if (found === undefined || this.broken.some((other) => other.law === law)) continue
      this.broken.push({ law, what: `${found} (at ${this.world.now()} ms)` })
      this.world.log(`BROKEN ${law}: ${found}`)
    }
  }

  readonly program = Effect.gen({ self: this }, function* () {
    const { scenario } = this
    this.world = yield* Simulation.World
    const life = yield* Effect.forkScoped(Layer.launch(this.layer), { startImmediately: true })
    life.addObserver(() => {
      if (this.stoppedAt !== undefined) return
      this.hasFailed = true
      this.sometimes.add("the server fails")
    })
    // Peers may come as soon as it is bound, before workers are ready.
    yield* this.until(() => this.server !== undefined || life.pollUnsafe() !== undefined, 1_000)
    const { server } = this
    if (server === undefined) return yield* Effect.die(new Error("the server does not start"))
    const seeing = Stream.runForEachArray(server.outcomes, (events) =>
      Effect.sync(() => events.forEach((event) => this.onOutcome(event)))
    )
    yield* Effect.forkScoped(seeing, { startImmediately: true })
    this.world.onTurn(() => this.look((watch) => watch.onTurn?.()))
    this.world.onRead((label) => {
      if (label.endsWith("<")) this.look((watch) => watch.onRead?.(label.slice(0, -1)))
    })
    if (scenario.quiet) yield* this.quiet
    for (const peer of this.peers) yield* this.join(peer)
    this.world.after(scenario.heal, () => this.heal())
    const stop = Effect.suspend(() => this.stop(server, life))
    if (scenario.stop !== undefined) yield* Effect.forkScoped(Effect.delay(stop, scenario.stop))
    // At worst one handler after the other.
    const asks = scenario.peers.flatMap(({ steps }) => steps.map((step) => (step.do === "send" ? step.asks.length : 0)))
    const handlers = asks.reduce((sum, count) => sum + count, 0) * this.subject.handlerMillis
    const limit = scenario.heal + settleMillis + handlers
    yield* this.until(() => (this.healed && this.pending === 0 && this.isComplete) || this.world.now() >= limit, limit)
    // Whoever has reset is seen to be gone by then: where events forget it, a server looks once a second.
    yield* Effect.sleep(2_500)
    this.waits = waits(this.peers, Simulation.holdings(server), this.world.places())
    this.look((watch) => watch.onSettled?.())
    yield* Effect.forkScoped(stop, { startImmediately: true })
    const latest = this.world.now() + scenario.drainMillis + 2_000
    yield* this.until(() => this.report !== undefined || this.world.now() >= latest, latest)
    // What was cut off gets a moment to end.
    yield* Effect.sleep(200)
    this.look((watch) => watch.atEnd?.())
  })

  private get layer(): Layer.Layer<Self, unknown> {
    const { scenario, subject } = this
    const { maxBuffered, maxMemory, maxPipelined } = scenario
    const listen: Transport.Listen = (sink) =>
      Effect.map(MemoryServer.listen("simulated")(sink), (listening) => ({
        ...listening,
        close: () => {
          listening.close()
          if (scenario.closeThrows) throw new Error("EACCES: permission denied, unlink")
        }
      }))
    const policy = subject.policies[scenario.policy]
    const work = Session.isSession(subject.work)
      ? Session.mapHandler(subject.work as Session.Session<In, Out, Self>, (handler) => this.watched(handler))
      : this.watched(subject.work as Handler.Handler<In, Out, Self>)
    const served = subject.tag.serve(work as Handler.Handler<In, Out, Self>, { policy })
    const limits: Transport.ServerOptions = {
      maxPipelined,
      maxBuffered,
      maxMemory,
      placeTimeout: scenario.placeMillis,
      writeTimeout: scenario.writeMillis,
      drainTimeout: scenario.drainMillis
    }
    const transport = Transport.layer(subject.tag, limits, listen)
    const bound = Effect.map(subject.tag as never as Effect.Effect<Server.Server<In, Out>>, (server) => {
      this.server = server
    })
    return Layer.provideMerge(served, Layer.provideMerge(Layer.effectDiscard(bound), transport)) as never
  }

  /** Handlers, whose beginnings and ends are seen. */
  private watched(work: Handler.Handler<In, Out, Self>): Handler.Handler<In, Out, Self> {
    return (request: Request.Request<In, Out>) => {
      this.world.log(`${request.peer.name} begins ${request.id}`)
      this.look((watch) => watch.onBegin?.(request as never))
      const effect = work(request)
      if (Exit.isExit(effect)) return effect
      this.handlers++
      const ended = Effect.sync(() => {
        this.handlers--
        this.look((watch) => watch.onHandled?.(request as never))
      })
      return Effect.ensuring(effect, ended)
    }
  }

  private onOutcome(event: Outcome.Event): void {
    const { connection, outcome, request } = event
    this.world.log(`${connection.peer.name} ${request?.id ?? "-"} ${outcome._tag}`)
    if (request !== undefined) this.requests++
    if (outcome._tag !== "Completed") this.sometimes.add(outcome._tag)
    this.look((watch) => watch.onOutcome?.(event))
  }

  // ---- peers

  private join(peer: Peer): Effect.Effect<void, unknown, Scope.Scope> {
    const { script } = peer
    this.pending++
    const life = Effect.gen({ self: this }, function* () {
      const { link, name } = script
      const wire = yield* MemoryServer.wire("simulated", { link, name, address: addressOf(name) })
      peer.wire = wire
      wire.start({
        onData: (chunk) => {
          peer.take(chunk)
          this.look((watch) => watch.onReceived?.(peer))
        },
        onEnd: () => {
          peer.sawEnd = true
          this.look((watch) => watch.onReceived?.(peer))
          wire.end()
        },
        onDrain: () => {},
        onFinish: () => {},
        onClose: () => {
          peer.open = false
          if (!peer.hasReset) this.look((watch) => watch.onClosed?.(peer))
        }
      })
      // Where events forget a reset, a peer that looks sees it, as a server does.
      const look = (): void => {
        if (!peer.open) return
        wire.probe?.()
        this.world.after(1_000, look)
      }
      if (link.forgets) look()
      for (const step of script.steps) {
        const later = step.at - this.world.now()
        if (later > 0) yield* Effect.sleep(later)
        if (peer.open) this.step(peer, wire, step)
      }
    })
    const alone = Effect.catchCause(life, () =>
      Effect.sync(() => {
        peer.open = false
      })
    )
    return Effect.forkScoped(
      Effect.ensuring(
        alone,
        Effect.sync(() => {
          this.pending--
        })
      )
    ) as never
  }

  private step(peer: Peer, wire: Wire.Wire, step: Step): void {
    this.world.log(`${peer.script.name} ${step.do}`)
    switch (step.do) {
      case "send":
        peer.asked.push(...step.asks)
        peer.expected = this.subject.expects(peer.asked)
        return void wire.write(step.asks.join(""))
      case "stopReading":
        if (this.healed && peer.script.heals) return
        peer.reads = false
        this.sometimes.add("stopped reading")
        return wire.pause()
      case "resume":
        peer.reads = true
        return wire.resume()
      case "halfClose":
        this.sometimes.add("half-closed")
        return wire.end()
      case "reset":
        peer.hasReset = true
        peer.open = false
        this.sometimes.add("reset")
        return wire.reset()
    }
  }

  /** From here on everybody reads who ever will. */
  private heal(): void {
    this.healed = true
    this.world.log("heal")
    this.noteWaits()
    for (const peer of this.peers) {
      if (!peer.script.heals) continue
      peer.reads = true
      peer.wire?.resume()
    }
  }

  /** Those that are waited for in no run are tested by none. */
  private noteWaits(): void {
    if (this.server === undefined) return
    for (const kind of kindsOf(Simulation.holdings(this.server))) this.sometimes.add(kind)
  }

  private get isComplete(): boolean {
    if (this.stoppedAt !== undefined) return this.report !== undefined
    return this.peers.every((peer) => !peer.open || !peer.script.heals || peer.length >= peer.expected.length)
  }

  /** A peer on a perfect link that asks for one thing at a time. */
  private readonly quiet: Effect.Effect<void, unknown, Scope.Scope> = Effect.suspend(() => {
    const chance = Simulation.chance(this.scenario.seed, "quiet")
    const draw = () => this.subject.asks(chance, "quiet-0")
    let ask = draw()
    // What has no answer shows nothing.
    for (let i = 0; i < 100 && this.subject.expects([ask]) === ""; i++) ask = draw()
    return Effect.map(Effect.exit(MemoryServer.wire("simulated", { link: Network.perfect, name: "quiet" })), (exit) => {
      if (Exit.isFailure(exit)) return
      const wire = exit.value
      const wanted = this.subject.expects([ask]).length
      let received = 0
      let open = true
      const next = () => {
        if (!open || this.stoppedAt !== undefined || this.healed) return
        received = 0
        this.quietSince = this.world.now()
        wire.write(ask)
      }
      wire.start({
        onData: (chunk) => {
          received += chunk.length
          if (received < wanted) return
          this.quietSince = undefined
          this.world.after(50, next)
        },
        onEnd: () => wire.end(),
        onDrain: () => {},
        onFinish: () => {},
        onClose: () => {
          open = false
          this.quietSince = undefined
        }
      })
      this.world.after(10, next)
    })
  })

  // ---- the stop

  private stop(server: Server.Server<In, Out>, life: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> {
    if (this.stoppedAt !== undefined) return Effect.void
    this.stoppedAt = this.world.now()
    this.quietSince = undefined
    this.world.log("stop")
    this.noteWaits()
    const { shutdown } = server
    const ended = this.scenario.stopBy === "scope" ? Effect.andThen(Fiber.interrupt(life), shutdown) : shutdown
    return Effect.map(ended, (report) => {
      this.report = report
      this.world.log(`stopped ${JSON.stringify(report)}`)
    })
  }

  /** Waits for what is seen after some turn, or for a time. */
  private until(condition: () => boolean, latest: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      let over = false
      const look = () => {
        if (over || !condition()) return
        over = true
        resume(Effect.void)
      }
      this.world.onTurn(look)
      this.world.after(latest - this.world.now(), look)
      look()
    })
  }
}
