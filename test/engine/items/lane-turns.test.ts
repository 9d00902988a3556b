import { expect, it } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { LaneTurns } from '../../../src/engine/items/lane-turns.ts'
import { Events } from '../../../src/events.ts'
import { CLOSED } from '../../../src/item/breaker.ts'
import type { ClockReading } from '../../../src/item/database-clock.ts'
import { allowedLateMs, type LanePlace, lateWithin, placesFrom, spacingMs } from '../../../src/item/lane.ts'
import { placeIn } from '../../../src/store/items/places/lane-places.ts'
import type { LaneState } from '../../../src/store/items/lane-rows.ts'

const RATE = { limit: 10, perMs: 1_000 }
const EPOCH = 1_800_000_000_000
const LANE: LaneState = {
  ...{ id: 1, name: 'host', rate: RATE, parallel: undefined, freeAt: 0, delayMs: undefined },
  ...{ factor: 1, successes: 0, breaker: CLOSED },
}

/** Time that passes only when nothing else happens, for several nodes and their database. */
class Simulated {
  now = 0
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = []

  /** The clock of a node, whose monotonic time begins anywhere. */
  clock(offset: number): Clock {
    return {
      now: () => EPOCH + this.now,
      monotonic: () => this.now + offset,
      sleep: (ms) => this.sleep(ms),
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.#sleepers.push({ at: this.now + Math.max(0, ms), wake }))
  }

  async run(untilMs: number): Promise<void> {
    for (;;) {
      await new Promise(setImmediate)
      this.#sleepers.sort((one, other) => one.at - other.at)
      const [first] = this.#sleepers
      if (!first || first.at > untilMs) return
      this.#sleepers.shift()
      this.now = Math.max(this.now, first.at)
      first.wake()
    }
  }
}

/** How long each part of an answer takes: until the database reads its clock, until the node has that time, and the rest of the claim. */
interface Delays {
  readonly before: () => number
  readonly after: () => number
  readonly rest: () => number
  /** From the start time of an item until it asks for its turn. */
  readonly ready: () => number
}

const NONE: Delays = { before: () => 1, after: () => 1, rest: () => 2, ready: () => 0 }

/** Runs nodes on one lane for a time, and returns when their requests began. */
async function begun(spanMs: number, nodes: readonly Delays[]): Promise<number[]> {
  const time = new Simulated()
  const begins: number[] = []
  let [freeAt, nextAt] = [0, 0]
  let isLocked = false
  /** A transaction on the lane; its clock is read after the lock. */
  const locked = async <T>(delays: Delays, clock: Clock, fn: (now: number, read: ClockReading) => T): Promise<T> => {
    while (isLocked) await time.sleep(1)
    isLocked = true
    const askedAt = clock.monotonic()
    await time.sleep(delays.before())
    const databaseMs = Math.floor(EPOCH + time.now)
    await time.sleep(delays.after())
    const result = fn(databaseMs, { databaseMs, askedAt, readAt: clock.monotonic() })
    await time.sleep(delays.rest())
    isLocked = false
    return result
  }
  for (const [index, delays] of nodes.entries()) {
    const clock = time.clock(index * 1_000_000)
    const turns = new LaneTurns({
      ...{ clock, events: new Events(), holdsLease: () => true },
      store: {
        takePlaces: (requests, { read }) =>
          locked(delays, clock, (now, reading) => {
            const uncertainMs = read(reading)
            return requests.map((request) => {
              const place = placeIn({ ...LANE, freeAt }, request, { now, uncertainMs })
              if (typeof place === 'object') freeAt = place.freeAt ?? freeAt
              return place
            })
          }),
      },
    })
    const item = async (place: LanePlace): Promise<void> => {
      await time.sleep(turns.opensAt(place) - clock.monotonic())
      await time.sleep(delays.ready())
      if (await turns.take({ lane: LANE, place, signal: new AbortController().signal, isFirst: true }))
        begins.push(time.now)
      turns.leave(LANE.id)
    }
    const claim = (now: number, uncertainMs: number): readonly LanePlace[] => {
      const { leadMs } = turns
      const spacing = spacingMs(RATE, 1, undefined)
      const lateMs = lateWithin(allowedLateMs(RATE, undefined), uncertainMs)
      const graceMs = lateMs - allowedLateMs(RATE, undefined)
      const { at } = placesFrom({
        now,
        leadMs: Math.ceil(leadMs),
        leastMs: Math.ceil(turns.usualMs),
        freeAt,
        spacing,
        graceMs,
        most: 10,
      })
      const last = at.at(-1)
      if (last !== undefined) freeAt = Math.ceil(last + spacing + graceMs)
      nextAt = freeAt - Math.max(100, leadMs)
      return at.map((one) => ({ at: one, lateMs, freeAt: one === last ? freeAt : undefined }))
    }
    const loop = async (): Promise<void> => {
      for (;;) {
        if (EPOCH + time.now >= nextAt) {
          const { reading, places } = await locked(delays, clock, (now, reading) => ({
            reading,
            places: claim(now, turns.read(reading)),
          }))
          turns.answered(reading)
          for (const place of places) {
            turns.join(LANE.id, place)
            void item(place)
          }
        }
        await time.sleep(20)
      }
    }
    void loop()
  }
  await time.run(spanMs)
  return begins
}

/** The most instants within less than a period of the rate. */
function fullest(instants: readonly number[]): number {
  const sorted = instants.toSorted((one, other) => one - other)
  return Math.max(...sorted.map((from, index) => sorted.slice(index).filter((at) => at < from + RATE.perMs).length))
}

/** Long and short times in turn. */
function inTurn(...ms: readonly number[]): () => number {
  let index = 0
  return () => ms[index++ % ms.length] ?? 0
}

const SPAN_MS = 30_000

it('reaches nine tenths of the rate, and never exceeds it', async () => {
  const begins = await begun(SPAN_MS, [NONE, NONE, NONE])
  expect(fullest(begins)).toBeLessThanOrEqual(10)
  expect(begins.length).toBeGreaterThanOrEqual(280)
})

it.each<[string, readonly Delays[], number]>([
  [
    'answers in turn late',
    [{ ...NONE, after: inTurn(1, 300, 1, 1, 250) }, NONE, { ...NONE, after: inTurn(400, 1) }],
    200,
  ],
  [
    'reads its clock late in turn',
    [
      { ...NONE, before: inTurn(300, 1, 1) },
      { ...NONE, before: inTurn(1, 1, 350) },
    ],
    170,
  ],
  [
    'takes long for the rest of a claim in turn',
    [
      { ...NONE, rest: inTurn(1, 1, 1, 400) },
      { ...NONE, rest: inTurn(1, 300) },
    ],
    220,
  ],
  ['is far away from one of two nodes', [{ ...NONE, before: () => 80, after: () => 80 }, NONE], 190],
])('never exceeds the rate if the database %s', async (_how, nodes, least) => {
  const begins = await begun(SPAN_MS, nodes)
  expect(fullest(begins)).toBeLessThanOrEqual(10)
  expect(begins.length).toBeGreaterThanOrEqual(least)
})

it.each<[string, readonly Delays[], number]>([
  ['by the same time', [{ ...NONE, ready: () => 200 }, NONE], 210],
  [
    'by different times',
    [
      { ...NONE, ready: inTurn(0, 500, 20, 900, 1, 1) },
      { ...NONE, ready: inTurn(300, 0) },
    ],
    180,
  ],
])('never exceeds the rate if items become ready late, %s', async (_how, nodes, least) => {
  const begins = await begun(SPAN_MS, nodes)
  expect(fullest(begins)).toBeLessThanOrEqual(10)
  expect(begins.length).toBeGreaterThanOrEqual(least)
})
