import { beforeEach, describe, expect, it } from 'vitest'
import type { Executor } from '../../../src/engine/execution/executor.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import type { Claim } from '../../../src/run/run.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { type EventName, Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { describeEachStore } from '../../support/databases.ts'
import { executorOf } from '../../support/executor.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'

describeEachStore((fixture) => {
  let clock: ManualClock
  let store: Store
  let told: EventName[]
  let calls: number
  let givenBack: number[]
  let holdsLease: boolean
  const source = { onFree: () => {}, onEnded: () => {}, onGivenBack: ({ runId }: Claim) => void givenBack.push(runId) }
  let executor: Executor

  beforeEach(async () => {
    clock = new ManualClock()
    store = storeOn(await fixture.open({ clock }))
    await fixture.empty()
    const events = new Events()
    told = []
    calls = 0
    givenBack = []
    holdsLease = true
    events.onAny((name) => told.push(name))
    executor = executorOf({
      store,
      registry: JobRegistry.of(defineJob({ id: 'a' }, () => void calls++)),
      ...{ events, clock, nodeId: () => NODE, holdsLease: () => holdsLease },
    })
  })

  const executed = (claim: Claim, nodeId: string): Promise<Claim> =>
    new Promise((resolve) => executor.take(claim, nodeId, { ...source, onEnded: resolve }))

  const claimOne = async (jobId: string, nodeId: string): Promise<Claim> => {
    await store.runs.enqueue([{ jobId, kind: 'manual', priority: 0 }])
    const { claims } = await store.runs.claim({ nodeId, limit: 1, limits: new Map() })
    return claims[0]!
  }

  it('executes a claim and stores its end', async () => {
    const claim = await claimOne('a', NODE)
    await executed(claim, NODE)
    expect([calls, told]).toEqual([1, ['run.started', 'run.settled']])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'succeeded', attempt: 1 })
  })

  it('does not begin a claim whose node lost its lease meanwhile', async () => {
    const claim = await claimOne('a', OTHER)
    await executed(claim, OTHER)
    expect([calls, told]).toEqual([0, ['run.lost']])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'running', nodeId: OTHER })
  })

  describe('a claim taken early', () => {
    const MINUTE = 60_000

    const claimEarly = async (count: number): Promise<readonly Claim[]> => {
      const run = { jobId: 'a', kind: 'manual', priority: 0, runAt: new Date(clock.now() + MINUTE) } as const
      await store.runs.enqueue(Array.from({ length: count }, () => run))
      return (await store.runs.claim({ nodeId: NODE, limit: count, early: { aheadMs: MINUTE }, limits: new Map() }))
        .claims
    }
    const takenEarly = (claims: readonly Claim[], nodeId = NODE): Promise<unknown> => {
      let left = claims.length
      return new Promise<void>((resolve) =>
        executor.takeEarly(claims, MINUTE, nodeId, { ...source, onEnded: () => --left || resolve() }),
      )
    }
    const stateOf = async ({ runId }: Claim): Promise<unknown> => (await store.runs.find(runId))?.state

    it('begins exactly at its time, and occupies no slot until then', async () => {
      const claims = await claimEarly(25)
      const over = takenEarly(claims)
      expect([executor.room, executor.freeSlots, executor.roomForEarly]).toEqual([10, 10, 9_975])
      await executed(await claimOne('a', NODE), NODE)
      clock.advance(MINUTE - 1)
      await executed(await claimOne('a', NODE), NODE)
      expect(calls).toBe(2)
      clock.advance(1)
      await over
      expect(calls).toBe(27)
      expect(await Promise.all(claims.map(stateOf))).toEqual(Array(25).fill('succeeded'))
      expect(executor.active).toBe(0)
    })

    it('may exceed the slots if handlers are short', async () => {
      // The duration of handlers is still unknown.
      expect(executor.roomForEarly).toBe(10_000)
      await executed(await claimOne('a', NODE), NODE)
      // Handlers that take no time.
      expect(executor.roomForEarly).toBe(10_000)
    })

    it('returns to the queue at a stop without beginning, uncounted', async () => {
      await executor.start()
      const claims = await claimEarly(3)
      const over = takenEarly(claims)
      await executor.stop()
      await over
      clock.advance(2 * MINUTE)
      await new Promise(setImmediate)
      expect([calls, executor.active, givenBack]).toEqual([0, 0, claims.map(({ runId }) => runId)])
      for (const { runId, runAt } of claims)
        expect(await store.runs.find(runId)).toMatchObject({ state: 'queued', attempt: 0, nodeId: undefined, runAt })
    })

    it('does not begin after it was cancelled', async () => {
      const [kept, cancelled] = (await claimEarly(2)) as [Claim, Claim]
      const over = takenEarly([kept, cancelled])
      expect(executor.cancellable).toEqual([kept.runId, cancelled.runId])
      await store.cancels.request({ ids: [cancelled.runId] })
      executor.cancel([cancelled.fence])
      clock.advance(MINUTE)
      await over
      expect([calls, await stateOf(kept), await stateOf(cancelled)]).toEqual([1, 'succeeded', 'cancelled'])
    })

    it.each(['has lost its lease', 'does not know whether it has'])(
      'does not begin on a node that %s',
      async (which) => {
        const claims = await claimEarly(1)
        const isLost = which === 'has lost its lease'
        const over = takenEarly(claims, isLost ? OTHER : NODE)
        holdsLease = isLost
        clock.advance(MINUTE)
        await over
        expect([calls, told, givenBack.length]).toEqual(isLost ? [0, ['run.lost'], 0] : [0, [], 1])
        expect(await stateOf(claims[0]!)).toBe(isLost ? 'running' : 'queued')
      },
    )
  })

  it('returns the run of an unknown job, uncounted', async () => {
    const claim = await claimOne('unknown', NODE)
    await executed(claim, NODE)
    expect([calls, told]).toEqual([0, []])
    expect(await store.runs.find(claim.runId)).toMatchObject({ state: 'queued', attempt: 0, nodeId: undefined })
  })
})
