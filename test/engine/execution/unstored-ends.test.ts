import { expect, it } from 'vitest'
import type { Claim } from '../../../src/run/run.ts'
import { UnstoredEnds } from '../../../src/engine/execution/unstored-ends.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import type { Finish } from '../../../src/store/runs/finish.ts'

const MINUTE_MS = 60_000
const end = (fence: number): Finish => ({ claim: { fence } as Claim, transition: { to: 'succeeded' } })

it('retries each end separately until it is stored or the claim is lost', async () => {
  const clock = new ManualClock()
  const tried: number[] = []
  let refused = new Set([1, 2])
  const ends = new UnstoredEnds(
    {
      finish: async (nodeId, finishes) => {
        expect([nodeId, finishes.length]).toEqual(['node', 1])
        const fence = finishes[0]?.claim.fence ?? 0
        tried.push(fence)
        if (refused.has(fence)) throw new Error('refused')
        return Promise.resolve({ lost: [], cancelled: [] })
      },
    },
    clock,
  )
  for (const fence of [1, 2]) ends.add('node', end(fence))
  const nextTry = async (): Promise<void> => {
    await eventually(() => expect(clock.sleeping).toBe(1))
    const before = tried.length
    clock.advance(MINUTE_MS)
    await eventually(() => expect(tried.length).toBeGreaterThan(before))
  }
  await nextTry()
  expect([...ends.fences]).toEqual([1, 2])
  refused = new Set([2])
  await eventually(() => expect(tried).toEqual([1, 2]))
  await nextTry()
  await eventually(() => expect([...ends.fences]).toEqual([2]))
  refused = new Set()
  await nextTry()
  await eventually(() => expect([...ends.fences]).toEqual([]))
  // It starts again with the next end.
  ends.add('node', end(3))
  await nextTry()
  await eventually(() => expect([...ends.fences]).toEqual([]))
  ends.add('node', end(4))
  await eventually(() => expect(clock.sleeping).toBe(1))
  ends.stop()
  expect([...ends.fences]).toEqual([])
  await eventually(() => expect(clock.sleeping).toBe(0))
})
