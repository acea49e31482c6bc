import { Deque } from "./deque.ts"

/** Whose requests wait, and in which order they come. */
export interface Lane<A> {
  /** Whether it is in the ring. */
  queued: boolean
  /** Who it belongs to: those of one peer share its turns. */
  readonly peerKey: string
  /** Whether it has any. */
  readonly hasWaiting: boolean
  /** The next request, if one may be taken. */
  readonly take: () => A | undefined
}

/**
 * Fair turns: connections that have requests waiting, each once.
 *
 * As long as all that waits is taken, each has some requests in its turn, since
 * those of one connection are cheaper together. What is left over waits for
 * places, or for the next turn of the event loop: from then on peers have turns,
 * and in those of a peer its connections. For a place each waits for one request
 * at a time; where requests are quick and only the turn is over, each has many,
 * since replies that leave one by one cost more than the requests do.
 */
export class Ring<A> {
  private readonly share: number
  private readonly everyone = new Group<A>("")
  private readonly groups = new Deque<Group<A>>()
  private readonly byKey = new Map<string, Group<A>>()
  private grouped = false
  private left = 1
  /** Whose turn it is, as far as that is known, and what it has had. */
  private lane: Lane<A> | undefined = undefined
  private had = 0
  /** What each has in its turn. */
  private most: number
  private count = 0

  constructor(share: number) {
    this.share = this.most = share
  }

  /** How many connections it has. */
  get size(): number {
    return this.count
  }

  add(lane: Lane<A>): void {
    lane.queued = true
    this.count++
    const group = this.grouped ? this.groupOf(lane) : this.everyone
    group.push(lane)
  }

  private groupOf({ peerKey }: Lane<A>): Group<A> {
    const known = this.byKey.get(peerKey)
    if (known !== undefined) return known
    const group = new Group<A>(peerKey)
    this.byKey.set(peerKey, group)
    this.groups.push(group)
    return group
  }

  /** The next request in turn. */
  next(): A | undefined {
    for (let lane = this.first; lane !== undefined; lane = this.first) {
      const taken = lane.take()
      if (taken !== undefined) {
        if (++this.had >= this.most) this.pass()
        return taken
      }
      this.leave(lane)
    }
    return undefined
  }

  private get first(): Lane<A> | undefined {
    return (this.lane ??= this.group?.first)
  }

  /** Whose turn it is among the peers. */
  private get group(): Group<A> | undefined {
    return this.grouped ? this.groups.first : this.everyone
  }

  /** The first has had its turn. */
  private pass(): void {
    this.turnOver()
    this.group?.rotate()
    if (this.grouped) this.groups.rotate()
  }

  private turnOver(): void {
    this.lane = undefined
    this.had = 0
  }

  /** The first has nothing that may be taken. */
  private leave(lane: Lane<A>): void {
    this.turnOver()
    this.count--
    lane.queued = false
    const group = this.group as Group<A>
    group.shift()
    if (!this.grouped || group.size > 0) return
    this.groups.shift()
    this.byKey.delete(group.key)
    if (this.count === 0) this.regroup(false)
  }

  private regroup(grouped: boolean): void {
    this.grouped = grouped
    this.most = grouped ? this.left : this.share
  }

  /** What is there now is left over; each has so many in its turn. */
  settle(left = 1): void {
    this.left = left
    if (this.grouped) this.regroup(true)
    else if (this.count > 0) this.refill(true, this.everyone.clear())
  }

  /** Lets go of those that do not pass. */
  retain(passes: (lane: Lane<A>) => boolean): void {
    const lanes = this.everyone.clear()
    for (const group of this.groups.clear()) lanes.push(...group.clear())
    this.refill(
      this.grouped,
      lanes.filter((lane) => {
        lane.queued = false
        return passes(lane)
      })
    )
  }

  private refill(grouped: boolean, lanes: ReadonlyArray<Lane<A>>): void {
    this.groups.clear()
    this.byKey.clear()
    this.turnOver()
    this.count = 0
    this.regroup(grouped && lanes.length > 0)
    for (const lane of lanes) this.add(lane)
  }
}

/** The connections of one peer. */
class Group<A> extends Deque<Lane<A>> {
  readonly key: string
  constructor(key: string) {
    super()
    this.key = key
  }
}
