/** The table of a connection's states, written out once more: every state with every event. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as ConnectionState from "../src/internal/connectionState.ts"

type Event = ConnectionState.Event
type State = ConnectionState.State
// Not exported, as it should be: a test alone looks at it.
const { answers, isOver, transitions } = await vi.importActual<typeof ConnectionState>(
  "../src/internal/connectionState.ts"
)

const events: ReadonlyArray<Event> = ["ended", "faulty", "stopIdle", "stopBusy", "shut", "left", "lost"]

// `-` is a state that an event does not change.
const table: { readonly [S in State]: ReadonlyArray<State | "-"> } = {
  // ended, faulty, stopIdle, stopBusy, shut, left, lost
  open: ["halfClosed", "stopping", "closing", "stopping", "draining", "-", "gone"],
  halfClosed: ["-", "-", "closing", "-", "closing", "-", "gone"],
  stopping: ["halfClosed", "-", "closing", "-", "draining", "-", "gone"],
  draining: ["closing", "-", "closing", "closing", "-", "lingering", "closed"],
  closing: ["-", "-", "-", "-", "-", "-", "closed"],
  lingering: ["closing", "-", "closing", "closing", "-", "-", "closed"],
  gone: ["-", "-", "-", "-", "-", "-", "-"],
  closed: ["-", "-", "-", "-", "-", "-", "-"]
}

const states = Object.keys(table) as ReadonlyArray<State>
const next = (state: State, event: Event): State => transitions[state][event] ?? state

describe("a connection's state", () => {
  it.each(states)("%s goes where the table says, and nowhere else", (state) => {
    assert.deepStrictEqual(
      events.map((event) => transitions[state][event] ?? "-"),
      table[state]
    )
    assert.includeMembers([...events], Object.keys(transitions[state]))
  })

  it("is one of these eight", () => {
    assert.sameMembers(Object.keys(transitions), [...states])
  })

  it.each([
    ["can be answered in", answers, ["open", "halfClosed", "stopping"]],
    ["is over in", isOver, ["gone", "closed"]]
  ] as const)("%s some of them", (_, test, expected) => {
    assert.deepStrictEqual<ReadonlyArray<State>>(states.filter(test), expected)
  })

  it("ends with its connection, whatever it was: unanswered where something could have been", () => {
    for (const state of states) {
      assert.isTrue(isOver(next(state, "lost")))
      if (!isOver(state)) assert.strictEqual(next(state, "lost"), answers(state) ? "gone" : "closed")
    }
  })

  it("is one that nothing is answered in, once the last reply is known", () => {
    for (const state of states) {
      if (answers(state)) assert.include(["draining", "closing"], next(state, "shut"))
      else assert.strictEqual(next(state, "shut"), state)
    }
  })

  it("waits for nobody whose input has ended", () => {
    for (const state of states) {
      const ended = next(state, "ended")
      if (!isOver(ended)) assert.include(["halfClosed", "closing"], ended)
    }
    assert.strictEqual(next("halfClosed", "shut"), "closing")
  })

  const path = Arbitrary.array(
    Arbitrary.map(
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: events.length - 1 }))),
      (i) => events[i] as Event
    ),
    { maxLength: 12 }
  )

  it.effect.prop("never goes back", { path }, ({ path }) =>
    Effect.sync(() => {
      let state: State = "open"
      for (const event of path) {
        const to = next(state, event)
        if (isOver(state)) assert.strictEqual(to, state)
        if (!answers(state)) assert.isFalse(answers(to))
        if (state !== "open") assert.notStrictEqual(to, "open")
        state = to
      }
      assert.isTrue(isOver(next(state, "lost")))
    })
  )
})
