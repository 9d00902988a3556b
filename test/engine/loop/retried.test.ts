import { expect, it } from 'vitest'
import { retried } from '../../../src/engine/loop/retried.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'

it('repeats a call by the clock until it succeeds, reports each failure, and throws an error that is final', async () => {
  const clock = new ManualClock('2026-01-01T00:00:00Z')
  const events = new Events()
  const told: unknown[] = []
  events.on('loop.failed', ({ loop, retryInMs, failures }) => told.push([loop, retryInMs, failures]))
  events.on('loop.recovered', ({ loop, failures }) => told.push([loop, failures]))
  const loops = new LoopHealth({ events, clock })
  let calls = 0
  const flaky = (): Promise<string> => (++calls < 3 ? Promise.reject(new Error('busy')) : Promise.resolve('stored'))
  const stored = retried(flaky, { clock, health: { loop: 'writer', loops }, isFinal: () => false })
  for (const before of [1, 2]) {
    await eventually(() => expect(told).toHaveLength(before))
    expect(calls).toBe(before)
    clock.advance(200)
  }
  expect(await stored).toBe('stored')
  expect(told).toEqual([
    ['writer', 200, 1],
    ['writer', 200, 2],
    ['writer', 2],
  ])
  const final = new Error('refused')
  await expect(retried(() => Promise.reject(final), { clock, isFinal: (thrown) => thrown === final })).rejects.toBe(
    final,
  )
  expect(told).toHaveLength(3)
})
