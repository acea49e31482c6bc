import type { Places, Running, Watch } from "../Laws.ts"
import { paceOf, reads } from "./lawsOfPeers.ts"

/** What the policies of `Policy` have for requests. */
export const placesOf = (policy: string): Places | undefined => {
  if (policy === "sequential") return { count: 1, exclusive: true }
  const [, max] = /^(?:fiber|connection)(?::(\d+))?$/.exec(policy) ?? [undefined, undefined]
  return /^(fiber|connection)/.test(policy) ? { count: Number(max ?? 1_024), exclusive: false } : undefined
}

export const fair =
  (places: (policy: string) => Places | undefined) =>
  (run: Running): Watch => {
    const { peers, policy } = run.scenario
    const has = places(policy)
    if (has === undefined) return {}
    const rounds = Math.ceil((new Set(peers.map(({ name }) => hostOf(name))).size + 1) / has.count) + 1
    const bound = () => 50 + rounds * run.handlerMillis + (has.extraMillis ?? 0) + (has.exclusive ? heldMillis(run) : 0)
    return {
      onTurn: () => {
        const waits = run.quietWaits()
        return waits > 50 && waits > bound() ? `a peer with one request waits for more than ${bound()} ms` : undefined
      }
    }
  }

/** For how long all others may keep a place because they read slowly, in milliseconds. */
const heldMillis = (run: Running): number => {
  const { placeMillis } = run.scenario
  let sum = 0
  for (const peer of run.peers) {
    const { all } = paceOf(peer.script.link, peer.expected.length)
    sum += reads(peer) ? Math.min(all, 6 * placeMillis) : 6 * placeMillis
  }
  return sum
}

/** Those of one host are one peer. */
const hostOf = (name: string): string => (name.includes(":") ? name.slice(0, name.lastIndexOf(":")) : "")

export const turn = (run: Running): Watch => {
  const { turnRequests, turnShare } = run.scenario
  let all = 0
  // How many have begun one after the other, of which connection, and who has been waiting meanwhile.
  let count = 0
  let last = 0
  let others: ReadonlyArray<number> = []
  // Where requests of a connection wait for each other, those that come after one at work have no turn yet.
  const waiting = (): ReadonlyArray<number> =>
    run
      .holdings()
      .flatMap(({ connection, isQueued, waits }) =>
        isQueued && connection.id !== last && !waits.some(({ begun }) => begun) ? [connection.id] : []
      )
  return {
    onBegin: ({ connection }) => {
      all++
      // A turn of the server is not one of the loop: who comes before its end and after it has a share as well.
      if (all > 3 * turnRequests) return `${all} requests begin in one turn`
      if (connection.id !== last) {
        last = connection.id
        count = 1
        return undefined
      }
      count++
      if (count === turnShare + 1) others = waiting()
      if (count !== 2 * turnShare + 1 || others.length === 0) return undefined
      const still = waiting()
      return others.some((id) => still.includes(id))
        ? `${count} requests of one connection begin in one turn, while another waits`
        : undefined
    },
    onTurn: () => {
      all = count = last = 0
      return undefined
    }
  }
}

// What is collected in a turn before it is offered to the transport, and what is handed to that at once.
const mark = 65_536

// What is decoded before it is looked what it takes: 32 of a chunk, or of two that come in one turn.
const mostDecoded = 64

export const bytes =
  (places: (policy: string) => Places | undefined) =>
  (run: Running): Watch => {
    const { maxBuffered, maxMemory, maxPipelined, policy } = run.scenario
    // A worker that has begun sends what its channel takes, however little memory is left here.
    const most = maxMemory + (places(policy)?.onItsWay ?? 0)
    /** How many were in flight after the turn before, by connection. */
    let before = new Map<number, number>()
    const bound = maxBuffered + 2 * mark + run.largest
    /** By connection: handlers that have ended late since it was within the bound. They had begun within it. */
    const late = new Map<number, number>()
    let over = 0
    const lateOf = (id: number): number => (run.isElsewhere ? maxPipelined : (late.get(id) ?? 0))
    return {
      onHandled: ({ connection }) => {
        late.set(connection.id, (late.get(connection.id) ?? 0) + 1)
        return undefined
      },
      onTurn: () => {
        let all = 0
        const flying = before
        before = new Map()
        for (const holding of run.holdings()) {
          const { connection } = holding
          all += holding.bytes
          before.set(connection.id, connection.inFlight)
          const decoded = connection.inFlight - (flying.get(connection.id) ?? 0)
          const input = holding.bytes - holding.unsent - holding.parked
          // Small pieces that come in one turn add up to what may be held.
          const fit = (maxBuffered * connection.inFlight) / Math.max(1, input)
          if (input >= maxBuffered && decoded > fit + mostDecoded) {
            return `${decoded} requests of ${connection.peer.name} are decoded at once, while as much of it is held as may be`
          }
          if (connection.inFlight > maxPipelined) {
            return `${connection.inFlight} requests of ${connection.peer.name} are in flight, more than ${maxPipelined}`
          }
          const { parked } = holding
          if (parked > maxBuffered + (1 + lateOf(connection.id)) * run.largest) {
            return `${parked} bytes of ${connection.peer.name} wait for their turn, more than ${maxBuffered}`
          }
          const held = holding.unsent + parked
          if (held <= bound) late.delete(connection.id)
          else if (held > bound + lateOf(connection.id) * run.largest) {
            return `${held} bytes are held for ${connection.peer.name}, more than ${bound}`
          }
        }
        // What has come in a turn is looked at by the end of the next.
        over = all > most ? over + 1 : 0
        return over > 3 ? `${all} bytes are held for all, more than ${most}, for ${over} turns` : undefined
      }
    }
  }

export const slowed = (run: Running): Watch => {
  const { maxMemory } = run.scenario
  // Few scenarios have so little.
  if (maxMemory > 1_048_576) return {}
  /** By connection, from when on it should not be read: what it had been read, and how often it was after that. */
  const over = new Map<number, { bytesRead: number; memory: number; reads: number }>()
  let before = 0
  const held = () => run.holdings().reduce((sum, { memory }) => sum + Math.max(0, memory), 0)
  return {
    // There may be room in the middle of a turn: who is read then goes on as it may.
    onRead: () => {
      if (held() <= maxMemory * 0.75) over.clear()
      return undefined
    },
    // Whoever has been answered may have been read before it held so much again.
    onOutcome: () => {
      over.clear()
      return undefined
    },
    onTurn: () => {
      const holdings = run.holdings().filter(({ memory }) => memory > 0)
      const held = holdings.reduce((sum, { memory }) => sum + memory, 0)
      const share = maxMemory / holdings.length
      if (held < before || held <= maxMemory * 0.75) over.clear()
      before = held
      if (held <= maxMemory * 0.75) return undefined
      for (const { connection, memory } of holdings) {
        const { bytesRead, id, inFlight, peer } = connection
        const since = over.get(id)
        if (memory <= share || inFlight === 0 || memory < (since?.memory ?? 0)) over.delete(id)
        else if (since === undefined) over.set(id, { bytesRead, memory, reads: 0 })
        else if (bytesRead > since.bytesRead) {
          over.set(id, { bytesRead, memory, reads: since.reads + 1 })
          // What has come in the turn in which it came to hold so much is taken.
          if (since.reads > 0) {
            return `${peer.name} is read on with more than its share, while ${held} bytes are held for all`
          }
        }
      }
      return undefined
    }
  }
}
