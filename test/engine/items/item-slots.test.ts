import { describe, expect, it } from 'vitest'
import { ItemSlots } from '../../../src/engine/items/item-slots.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'

/** Two slots, what began and what went back to the queue, in order. */
function slotsOfTwo(refused: ReadonlySet<string> = new Set()) {
  const clock = new ManualClock()
  const [begun, returned]: [string[], string[]] = [[], []]
  const slots = new ItemSlots<string>({
    ...{ concurrency: () => 2, clock },
    begin: (item) => !refused.has(item) && begun.push(item) > 0,
    giveBack: (item) => returned.push(item),
  })
  return { slots, clock, begun, returned }
}

describe('ItemSlots', () => {
  it('lets items wait for a slot in order, and claims ahead only while functions are short', () => {
    const { slots, begun } = slotsOfTwo()
    expect(slots.ahead).toBe(0)
    slots.took(20)
    expect(slots.ahead).toBe(2)
    for (const item of ['a', 'b', 'c', 'd']) slots.take(item)
    expect([begun.join(''), slots.used, slots.waiting]).toEqual(['ab', 2, 2])
    slots.release()
    slots.release()
    expect([begun.join(''), slots.used, slots.waiting]).toEqual(['abcd', 2, 0])
    for (let ended = 0; ended < 100; ended++) slots.took(5_000)
    expect(slots.ahead).toBe(0)
  })

  it('keeps a slot for an item whose start time is later, and starts it before those that wait', () => {
    const { slots, begun } = slotsOfTwo()
    slots.take('a')
    slots.reserve()
    slots.take('b')
    expect(begun).toEqual(['a'])
    slots.takeReserved('in time')
    expect(begun).toEqual(['a', 'in time'])
    slots.reserve()
    slots.takeReserved('next')
    slots.release()
    expect([begun, slots.used]).toEqual([['a', 'in time', 'next'], 2])
    slots.reserve()
    slots.release()
    expect(begun).toHaveLength(3)
    slots.unreserve()
    expect(begun.at(-1)).toBe('b')
  })

  it('gives the slot of an item that does not start to the next one', () => {
    const { slots, begun } = slotsOfTwo(new Set(['lost', 'gone']))
    for (const item of ['a', 'b', 'lost', 'gone', 'c']) slots.take(item)
    slots.release()
    expect([begun, slots.used, slots.waiting]).toEqual([['a', 'b', 'c'], 2, 0])
  })

  it('returns what waits at a stop, and what has waited for long', async () => {
    const { slots, clock, returned } = slotsOfTwo()
    slots.took(20)
    for (const item of ['a', 'b', 'c']) slots.take(item)
    slots.reserve()
    slots.takeReserved('in time')
    slots.giveBackAll()
    expect([returned, slots.waiting]).toEqual([['in time', 'c'], 0])
    slots.take('d')
    clock.advance(10_000)
    await eventually(() => expect([returned.at(-1), slots.waiting, slots.ahead]).toEqual(['d', 0, 0]))
  })
})
