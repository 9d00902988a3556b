import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Arbiter, type Lane, type Wants } from '../../src/resource/arbiter.ts'

const never = new AbortController().signal

/** An arbiter with lanes of these sizes, and what it has granted. */
function arbitration(...sizes: number[]) {
  const arbiter = new Arbiter()
  const lanes = sizes.map((size) => arbiter.lane(size))
  const granted: string[] = []
  const wants = (counts: Record<number, number>): Wants =>
    Object.entries(counts).map(([lane, count]) => ({ lane: lanes[Number(lane)] as Lane, count }))
  const ask = (name: string, counts: Record<number, number>, signal = never): Promise<void> =>
    (arbiter.take(arbiter.ticket(wants(counts)), signal) ?? Promise.resolve()).then(() => void granted.push(name))
  const giveBack = (counts: Record<number, number>): void => {
    for (const { lane, count } of wants(counts)) arbiter.release(lane, count)
  }
  return { arbiter, lanes, granted, ask, giveBack, wants }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('an arbiter', () => {
  it('lets those pass that need only what is free, and keeps a slot for the earliest that waits', async () => {
    const { granted, ask, giveBack } = arbitration(2, 1)
    await ask('b', { 1: 1 })
    void ask('a and b', { 0: 1, 1: 1 })
    await ask('first a', { 0: 1 })
    const second = ask('second a', { 0: 1 })
    await turn()
    expect(granted).toEqual(['b', 'first a'])
    giveBack({ 1: 1 })
    await turn()
    expect(granted).toEqual(['b', 'first a', 'a and b'])
    giveBack({ 0: 1 })
    await second
  })

  it('does not let those who need one slot starve one that needs many', async () => {
    const { granted, ask, giveBack } = arbitration(3)
    for (const name of ['1', '2', '3']) await ask(name, { 0: 1 })
    void ask('all', { 0: 3 })
    void ask('4', { 0: 1 })
    giveBack({ 0: 1 })
    giveBack({ 0: 1 })
    await turn()
    expect(granted).toEqual(['1', '2', '3'])
    giveBack({ 0: 1 })
    await turn()
    expect(granted.at(-1)).toBe('all')
  })

  it('takes any of thousands out of the queue at once, without a trace', async () => {
    const { lanes, ask } = arbitration(1, 1)
    await ask('holder', { 0: 1 })
    const all = Array.from({ length: 20_000 }, () => new AbortController())
    const asked = all.map(({ signal }, index) => ask('x', index % 2 ? { 0: 1, 1: 1 } : { 0: 1 }, signal))
    expect(lanes[0]?.waiting).toBe(20_000)
    const refused = Promise.allSettled(asked)
    for (const controller of all.toReversed()) controller.abort(new Error('cancelled'))
    expect((await refused).every(({ status }) => status === 'rejected')).toBe(true)
    expect(lanes.map(({ waiting, active }) => [waiting, active])).toEqual([
      [0, 1],
      [0, 0],
    ])
  })

  it('gives a ticket that comes back its old place', async () => {
    const { arbiter, lanes, wants, granted, ask } = arbitration(1)
    const lane = lanes[0] as Lane
    const ticket = arbiter.ticket(wants({ 0: 1 }))
    await arbiter.take(ticket, never)
    void ask('later', { 0: 1 })
    lane.isOpen = false
    arbiter.release(lane, 1)
    void arbiter.take(ticket, never)?.then(() => granted.push('back'))
    lane.isOpen = true
    arbiter.serve()
    await turn()
    expect(granted).toEqual(['back'])
  })

  it('grants every request sooner or later, never more than there is, in order among equals', async () => {
    const request = fc.record({
      counts: fc.dictionary(fc.constantFrom('0', '1', '2'), fc.integer({ min: 1, max: 3 }), { minKeys: 1 }),
      heldTurns: fc.integer({ min: 0, max: 3 }),
      isAborted: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 30 }), async (requests) => {
        const { lanes, ask, giveBack } = arbitration(3, 3, Infinity)
        const orders = new Map<string, number[]>()
        const runs = requests.map(async ({ counts, heldTurns, isAborted }, index) => {
          const controller = new AbortController()
          if (isAborted) void turn().then(() => controller.abort(new Error('cancelled')))
          try {
            await ask(String(index), counts, controller.signal)
          } catch {
            return
          }
          const kind = JSON.stringify(Object.entries(counts).sort())
          orders.set(kind, [...(orders.get(kind) ?? []), index])
          for (const lane of lanes) expect(lane.active).toBeLessThanOrEqual(lane.size)
          for (let turns = 0; turns < heldTurns; turns++) await turn()
          giveBack(counts)
        })
        await Promise.all(runs)
        for (const order of orders.values()) expect(order).toEqual(order.toSorted((a, b) => a - b))
        expect(lanes.every(({ active, waiting }) => active === 0 && waiting === 0)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})
