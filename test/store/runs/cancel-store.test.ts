import { beforeEach, describe, expect, it } from 'vitest'
import type { Claim, Transition } from '../../../src/run/run.ts'
import type { RunError } from '../../../src/run/run-error.ts'
import { fenceOf } from '../../../src/store/runs/fence.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import type { Window } from '../../../src/time/window.ts'
import { describeEachStoreAndOldServer } from '../../support/databases.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'
const HOUR = 3_600_000
const boom: RunError = { name: 'Error', message: 'boom' }
const failed: Transition = { to: 'failed', error: boom }
const retried: Transition = { to: 'queued', delayMs: 0, counted: true, error: boom }
const interrupted: Transition = { to: 'queued', delayMs: 0, counted: false }

describeEachStoreAndOldServer((fixture) => {
  let store: Store
  let now: number

  beforeEach(async () => {
    now = Date.parse('2026-03-01T12:00:00.000Z')
    store ??= storeOn(await fixture.open({ clock: { now: () => now } }))
    await fixture.empty()
  })

  const manual = (jobId: string): NewRun => ({ jobId, kind: 'manual', priority: 0 })
  const windowAt = (hour: number): Window => ({
    start: new Date(Date.UTC(2026, 0, 1) + hour * HOUR),
    end: new Date(Date.UTC(2026, 0, 1) + (hour + 1) * HOUR),
  })
  const windowed = (jobId: string, hour: number): Promise<number> =>
    store.windows.enqueue({ ...manual(jobId), window: windowAt(hour) })
  const claims = async (limit = 100, nodeId = NODE): Promise<readonly Claim[]> =>
    (await store.runs.claim({ nodeId, limit, limits: new Map() })).claims
  const claimOne = async (nodeId = NODE): Promise<Claim> => (await claims(1, nodeId))[0] as Claim
  const stateOf = async (runId: number) => (await store.runs.find(runId))?.state
  const finish = (claim: Claim, transition: Transition, nodeId = NODE) =>
    store.runs.finish(nodeId, [{ claim, transition }])

  describe('a cancel', () => {
    it('ends a queued run and its window immediately', async () => {
      const runId = await windowed('a', 0)
      expect(await store.cancels.request({ ids: [runId] })).toEqual({ cancelled: 1, requested: 0 })
      expect(await store.runs.find(runId)).toMatchObject({
        state: 'cancelled',
        error: { name: 'PikoError', code: 'RUN_CANCELLED' },
        finishedAt: new Date(now),
        cancelRequestedAt: new Date(now),
      })
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual(['cancelled'])
      expect(await claims()).toEqual([])
    })

    it('marks a running run only for the node that holds it', async () => {
      const [one, two] = (await store.runs.enqueue([manual('a'), manual('a')])) as [number, number]
      const held = await claims()
      expect(await store.cancels.requested([one, two])).toEqual([])
      expect(await store.cancels.request({ ids: [one] })).toEqual({ cancelled: 0, requested: 1 })
      expect(await store.cancels.requested([one, two])).toEqual([fenceOf(one, 1)])
      expect(await store.cancels.requested([two])).toEqual([])
      expect(held).toHaveLength(2)
      expect(await stateOf(one)).toBe('running')
    })

    it('keeps the time of the first request', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      await claimOne()
      await store.cancels.request({ ids: [runId] })
      now += 1_000
      await store.cancels.request({ ids: [runId] })
      expect((await store.runs.find(runId))?.cancelRequestedAt).toEqual(new Date(now - 1_000))
    })

    it('does not change ended and unknown runs', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      await finish(await claimOne(), { to: 'succeeded' })
      const before = await store.runs.find(runId)
      expect(await store.cancels.request({ ids: [runId, 999_999] })).toEqual({ cancelled: 0, requested: 0 })
      expect(await store.cancels.request({ ids: [] })).toEqual({ cancelled: 0, requested: 0 })
      expect(await store.runs.find(runId)).toEqual(before)
    })

    it('cancels all runs of a job, or those in one state, in any number of batches', async () => {
      await store.runs.enqueue([manual('a'), manual('a')])
      await claims()
      const many = await store.runs.enqueue(Array.from({ length: 1_100 }, () => manual('a')))
      const [other] = (await store.runs.enqueue([manual('b')])) as [number]
      expect(await store.cancels.request({ jobId: 'a', state: 'queued' })).toEqual({ cancelled: 1_100, requested: 0 })
      expect(await store.runs.count('a')).toMatchObject({ queued: 0, running: 2, cancelled: many.length })
      expect(await store.cancels.request({ jobId: 'a' })).toEqual({ cancelled: 0, requested: 2 })
      expect(await stateOf(other)).toBe('queued')
    })

    it.each([
      ['a failed attempt that would be tried again', retried],
      ['an attempt that the stop of its node ended', interrupted],
    ])('wins over %s', async (_, transition) => {
      const runId = await windowed('a', 0)
      const claim = await claimOne()
      await store.cancels.request({ ids: [runId] })
      expect(await finish(claim, transition)).toEqual({ lost: [], cancelled: [claim] })
      // The answer to its commit was lost, so it is written again.
      expect(await finish(claim, transition)).toEqual({ lost: [], cancelled: [claim] })
      expect(await store.runs.find(runId)).toMatchObject({ state: 'cancelled', error: { code: 'RUN_CANCELLED' } })
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual(['cancelled'])
      expect(await claims()).toEqual([])
    })

    it('is distinguished from a lost claim and from other ends in the same write', async () => {
      await store.runs.enqueue([manual('a'), manual('a'), manual('a')])
      const [first, second, third] = (await claims()) as [Claim, Claim, Claim]
      await store.cancels.request({ ids: [first.runId] })
      await store.runs.recover()
      const again = await claims(100, OTHER)
      expect(again.map((claim) => claim.runId)).toEqual([second.runId, third.runId])
      expect(
        await store.runs.finish(
          NODE,
          [first, second].map((claim) => ({ claim, transition: retried })),
        ),
      ).toEqual({ lost: [second], cancelled: [first] })
    })

    it('comes too late for an attempt that has succeeded or finally failed', async () => {
      await store.runs.enqueue([manual('a'), manual('a')])
      const [good, bad] = (await claims()) as [Claim, Claim]
      await store.cancels.request({ jobId: 'a' })
      expect(await finish(good, { to: 'succeeded' })).toEqual({ lost: [], cancelled: [] })
      expect(await finish(bad, failed)).toEqual({ lost: [], cancelled: [] })
      expect([await stateOf(good.runId), await stateOf(bad.runId)]).toEqual(['succeeded', 'failed'])
    })

    it('ends a run whose node is lost instead of queuing it again', async () => {
      const runId = await windowed('a', 0)
      await store.runs.enqueue([manual('b')])
      const [cancelled, plain] = (await claims()) as [Claim, Claim]
      await store.cancels.request({ ids: [runId] })
      expect((await store.runs.recover()).count).toBe(2)
      expect(await store.runs.find(runId)).toMatchObject({ state: 'cancelled', attempt: 1 })
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual(['cancelled'])
      expect(await store.runs.find(plain.runId)).toMatchObject({ state: 'queued', attempt: 0 })
      expect((await finish(cancelled, { to: 'succeeded' })).lost).toEqual([cancelled])
      const [run] = (await store.runs.findEach([runId])).runs
      expect(await store.attempts.list(run!)).toMatchObject([{ attempt: 1, outcome: 'lost', nodeId: NODE }])
    })

    it('and a simultaneous claim leave each run either cancelled, or running and marked', async () => {
      const ids = await store.runs.enqueue(Array.from({ length: 60 }, () => manual('a')))
      const [taken] = await Promise.all([
        Promise.all(Array.from({ length: 6 }, () => claims(10))),
        ...Array.from({ length: 4 }, () => store.cancels.request({ jobId: 'a' })),
      ])
      await store.cancels.request({ jobId: 'a' })
      const running = new Set(taken.flat().map((claim) => claim.runId))
      for (const run of (await store.runs.findEach(ids)).runs) {
        expect(run.state).toBe(running.has(run.id) ? 'running' : 'cancelled')
        expect(run.cancelRequestedAt).toBeDefined()
      }
    })

    it('and a simultaneous end leave exactly one end, with the matching window', async () => {
      for (let round = 0; round < 8; round++) {
        const runId = await windowed('a', round)
        const claim = await claimOne()
        const transition = [retried, failed, { to: 'succeeded' } as const][round % 3]!
        const [, result] = await Promise.all([store.cancels.request({ ids: [runId] }), finish(claim, transition)])
        expect(result.lost).toEqual([])
        const state = await stateOf(runId)
        // A retry may be queued first; the cancel then finds it in the queue.
        expect(state).toBe(transition.to === 'queued' ? 'cancelled' : transition.to)
        expect((await store.windows.list('a')).at(-1)?.state).toBe(state)
        expect(await claims()).toEqual([])
      }
    })
  })

  describe('a replay', () => {
    const fail = async (count: number): Promise<number[]> => {
      const ids = await store.runs.enqueue(Array.from({ length: count }, () => manual('a')))
      await store.runs.finish(
        NODE,
        (await claims(count)).map((claim) => ({ claim, transition: failed })),
      )
      return ids
    }

    it('queues a failed run again as if it had never run, except for its fence', async () => {
      const runId = await windowed('a', 0)
      const claim = await claimOne()
      await store.cancels.request({ ids: [runId] })
      await finish(claim, failed)
      now += 1_000
      expect(await store.replays.preview({ jobId: 'a' })).toEqual({ count: 1, superseded: 0 })
      expect(await store.replays.replay({ jobId: 'a' })).toEqual({ count: 1, superseded: 0 })
      expect(await store.runs.find(runId)).toMatchObject({
        state: 'queued',
        attempt: 0,
        nodeId: undefined,
        runAt: new Date(now),
        error: undefined,
        startedAt: undefined,
        finishedAt: undefined,
        cancelRequestedAt: undefined,
      })
      expect((await store.windows.list('a')).map((window) => window.state)).toEqual(['queued'])
      const again = await claimOne()
      expect(again).toMatchObject({ runId, attempt: 1, fence: fenceOf(runId, 2) })
      expect((await finish(claim, { to: 'succeeded' })).lost).toEqual([claim])
      // The cancel before the replay no longer matters, so this attempt may be retried.
      expect(await finish(again, retried)).toEqual({ lost: [], cancelled: [] })
      expect(await stateOf(runId)).toBe('queued')
    })

    it('replays each failed run once, in any number of batches', async () => {
      await fail(450)
      expect(await store.replays.replay({ state: 'failed' })).toEqual({ count: 450, superseded: 0 })
      expect(await store.replays.replay({ state: 'failed' })).toEqual({ count: 0, superseded: 0 })
      expect(await store.runs.count('a')).toMatchObject({ queued: 450, failed: 0 })
    })

    it('replays each run once for two simultaneous callers', async () => {
      await fail(60)
      const results = await Promise.all([
        store.replays.replay({ jobId: 'a' }),
        store.replays.replay({ jobId: 'a' }),
        store.replays.replay({ state: 'failed' }),
      ])
      expect(results.reduce((sum, { count }) => sum + count, 0)).toBe(60)
    })

    it('selects runs by id, job, state and time of the end', async () => {
      const [early] = (await fail(1)) as [number]
      now += 60_000
      const [late] = (await fail(1)) as [number]
      const [cancelled, running, queued] = (await store.runs.enqueue([manual('a'), manual('a'), manual('a')])) as [
        number,
        number,
        number,
      ]
      await store.cancels.request({ ids: [cancelled] })
      expect((await claimOne()).runId).toBe(running)
      expect(await store.replays.preview({ jobId: 'b' })).toEqual({ count: 0, superseded: 0 })
      expect(await store.replays.preview({ jobId: 'a' })).toEqual({ count: 2, superseded: 0 })
      expect(await store.replays.preview({ jobId: 'a', state: 'cancelled' })).toEqual({ count: 1, superseded: 0 })
      expect(await store.replays.replay({ jobId: 'a', since: new Date(now) })).toEqual({ count: 1, superseded: 0 })
      expect([await stateOf(early), await stateOf(late)]).toEqual(['failed', 'queued'])
      const ids = [early, late, cancelled, running, queued]
      expect(await store.replays.replay({ ids })).toEqual({ count: 2, superseded: 0 })
      expect(await Promise.all(ids.map(stateOf))).toEqual(['queued', 'queued', 'queued', 'running', 'queued'])
    })

    it('skips a run whose window a later run has taken over', async () => {
      const first = await windowed('a', 0)
      await finish(await claimOne(), failed)
      const second = await windowed('a', 0)
      expect(await store.replays.preview({ jobId: 'a' })).toEqual({ count: 0, superseded: 1 })
      expect(await store.replays.replay({ jobId: 'a' })).toEqual({ count: 0, superseded: 1 })
      expect([await stateOf(first), await stateOf(second)]).toEqual(['failed', 'queued'])
      expect(await store.windows.list('a')).toMatchObject([{ state: 'queued', runId: second }])
    })

    it('and a simultaneous run of the same window never leave the window with two runs', async () => {
      for (let round = 0; round < 6; round++) {
        await windowed('a', round)
        await finish(await claimOne(), failed)
        await Promise.allSettled([windowed('a', round), store.replays.replay({ jobId: 'a' })])
        const taken = await claims()
        expect(taken).toHaveLength(1)
        expect((await store.windows.list('a')).at(-1)).toMatchObject({ state: 'running', runId: taken[0]!.runId })
        await finish(taken[0]!, { to: 'succeeded' })
      }
    })
  })

  describe('the attempts of a run', () => {
    const attempts = async (runId: number) => store.attempts.list((await store.runs.find(runId))!)

    it('are kept with their ends, errors and times, including those before a replay', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      expect(await attempts(runId)).toEqual([])
      const start = now
      const ends: [Transition, string][] = [
        [interrupted, 'interrupted'],
        [retried, 'failed'],
        [{ ...retried, error: { name: 'PikoError', message: 'too long', code: 'RUN_TIMEOUT' } }, 'timeout'],
        [failed, 'failed'],
      ]
      for (const [transition] of ends) {
        const claim = await claimOne()
        now += 500
        await finish(claim, transition)
        now += 500
      }
      const numbers = [1, 1, 2, 3]
      const expected = ends.map(([, outcome], index) => ({
        attempt: numbers[index],
        fence: fenceOf(runId, index + 1),
        nodeId: NODE,
        outcome,
        startedAt: new Date(start + index * 1_000),
        finishedAt: new Date(start + index * 1_000 + 500),
      }))
      expect(await attempts(runId)).toMatchObject(expected)
      expect((await attempts(runId)).map((attempt) => attempt.error?.message)).toEqual([
        undefined,
        'boom',
        'too long',
        'boom',
      ])
      await store.replays.replay({ ids: [runId] })
      expect(await attempts(runId)).toMatchObject(expected)
      const last = await claimOne()
      expect((await attempts(runId)).at(-1)).toMatchObject({ attempt: 1, outcome: 'running', finishedAt: undefined })
      await finish(last, { to: 'succeeded' })
      expect(await attempts(runId)).toMatchObject([
        ...expected,
        { attempt: 1, fence: fenceOf(runId, 5), outcome: 'succeeded', nodeId: NODE, error: undefined },
      ])
    })

    it('have no rows for successes', async () => {
      const ids = await store.runs.enqueue([manual('a'), manual('a')])
      await store.runs.finish(
        NODE,
        (await claims()).map((claim, index) => ({
          claim,
          transition: { to: 'succeeded', ...(index && { output: 1 }) },
        })),
      )
      expect(await store.database.db.selectFrom('piko_attempt').selectAll().execute()).toEqual([])
      expect(await attempts(ids[0]!)).toMatchObject([{ attempt: 1, outcome: 'succeeded' }])
    })

    it('that were lost with their node are recorded as lost, and those of a late node are not written', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      const stale = await claimOne()
      await store.runs.recover()
      expect((await finish(stale, failed)).lost).toEqual([stale])
      expect(await attempts(runId)).toMatchObject([{ attempt: 1, outcome: 'lost', nodeId: NODE, error: undefined }])
    })

    it('are recorded once when an end is written again', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      const claim = await claimOne()
      await finish(claim, retried)
      await finish(claim, retried)
      expect(await attempts(runId)).toHaveLength(1)
    })

    it('do not include a cancel in the queue', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      await finish(await claimOne(), retried)
      await store.cancels.request({ ids: [runId] })
      expect(await attempts(runId)).toMatchObject([{ outcome: 'failed' }])
    })

    it('from before attempts were recorded are recorded by the replay', async () => {
      const [runId] = (await store.runs.enqueue([manual('a')])) as [number]
      await finish(await claimOne(), failed)
      await store.database.sql.exec('DELETE FROM piko_attempt')
      expect(await attempts(runId)).toMatchObject([{ outcome: 'failed', error: boom }])
      await store.replays.replay({ ids: [runId] })
      expect(await attempts(runId)).toMatchObject([{ attempt: 1, outcome: 'failed', error: boom }])
    })
  })
})
