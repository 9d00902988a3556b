import { beforeEach, describe, expect, it } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Cancellation } from '../../../src/engine/attempt/cancellation.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Run } from '../../../src/run/run.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { fenceOf } from '../../../src/store/runs/fence.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually, Gate, nextEvent, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { rejected } from '../../support/thrown.ts'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  /** A job that ends on its signal and records the reason. */
  const waiting = (reasons: unknown[] = []) =>
    defineJob({ id: 'waiting', retry: { limit: 5, base: '1ms' } }, async ({ signal }) => {
      await new Gate().pass(signal).catch((error: unknown) => {
        reasons.push(error)
        throw error
      })
    })

  it('a node checks once a second for all its runs, asks which ones only after a request, and never without runs', async () => {
    const clock = new ManualClock()
    const nodeId = crypto.randomUUID()
    const asked: (readonly number[])[] = []
    const cancelled: number[] = []
    let looks = 0
    const executor = {
      active: 0,
      cancellable: [] as number[],
      cancel: (fences: readonly number[]) => cancelled.push(...fences),
    }
    const cancels = {
      mark: (id: string) => {
        looks += 1
        return store.cancels.mark(id)
      },
      requested: (ids: readonly number[]) => {
        asked.push(ids)
        return store.cancels.requested(ids)
      },
    }
    const cancellation = new Cancellation({
      ...{ cancels, executor, clock },
      nodeId: () => nodeId,
      loops: new LoopHealth({ clock, events: new Events() }),
    })
    await cancellation.start()
    const asleep = () => eventually(() => expect(clock.sleeping).toBe(1))
    const look = async (ms = 1_000): Promise<void> => {
      await asleep()
      clock.advance(ms)
      await asleep()
    }
    await look()
    expect(looks).toBe(0)
    const ids = await store.runs.enqueue(
      Array.from({ length: 300 }, () => ({ jobId: 'a', kind: 'manual', priority: 0 })),
    )
    await store.nodes.register({ id: nodeId, host: 'h', pid: 1 }, 60_000)
    await store.runs.claim({ nodeId, limit: 300, limits: new Map() })
    executor.cancellable = ids
    executor.active = ids.length
    await look()
    await eventually(() => expect(asked).toEqual([ids]))
    // Asks once more after a change, because the answer to a claim may have been on its way.
    await look()
    await eventually(() => expect(asked).toEqual([ids, ids]))
    await look()
    await eventually(() => expect(looks).toBe(3))
    await store.cancels.request({ ids: [ids[7]!, ids[299]!] })
    await look(999)
    expect([looks, asked.length]).toEqual([3, 2])
    await look(1)
    await eventually(() => expect(cancelled).toEqual([fenceOf(ids[7]!, 1), fenceOf(ids[299]!, 1)]))
    expect([looks, asked]).toEqual([4, [ids, ids, ids]])
    await cancellation.stop()
  })

  it('is refused where it would wait forever: inside a transaction on the only connection, without its trx', async () => {
    const app = await startApp(fixture.options, [], { execute: false })
    const inside = app.sql.transaction(() => app.runs.cancel({ jobId: 'a' }))
    if (fixture.name === 'sqlite') expect(await rejected(inside)).toMatchObject({ code: 'USAGE' })
    else expect(await inside).toEqual({ cancelled: 0, requested: 0 })
  })

  describe('app.runs.cancel', () => {
    it('reaches a handler on another node within two seconds, and the run is cancelled', async () => {
      const reasons: unknown[] = []
      const node = await startApp(fixture.options, waiting(reasons))
      const other = await startApp(fixture.options, [], { execute: false })
      const started = nextEvent(node, 'run.started')
      const settled = nextEvent(node, 'run.settled')
      const { id } = await node.run('waiting')
      await started
      const askedAt = performance.now()
      const asked = await other.runs.cancel(id)
      // Over a link, the run may have ended before the answer is read.
      const state = expect.stringMatching(/^(running|cancelled)$/) as string
      expect(asked).toMatchObject({ id, state, cancelRequestedAt: expect.any(Date) as Date })
      expect(await settled).toMatchObject({ runId: id, outcome: 'cancelled', state: 'cancelled', isGivenUp: false })
      expect(performance.now() - askedAt).toBeLessThan(20_000)
      expect(reasons).toMatchObject([{ code: 'RUN_CANCELLED', details: { runId: id } }])
      expect(await other.runs.show(id)).toMatchObject({ state: 'cancelled', error: { code: 'RUN_CANCELLED' } })
      expect((await other.runs.show(id)).attempts).toMatchObject([{ attempt: 1, outcome: 'cancelled' }])
    })

    it('takes effect immediately on the same node, even while it stops', async () => {
      const node = await startApp(fixture.options, waiting())
      const started = nextEvent(node, 'run.started')
      const { id } = await node.run('waiting')
      await started
      const stopped = node.stop()
      await node.runs.cancel(id)
      await stopped
      expect(await store.runs.find(id)).toMatchObject({ state: 'cancelled' })
    })

    it('ends one of several runs and leaves the others running', async () => {
      const node = await startApp(fixture.options, waiting())
      const ids = await Promise.all([1, 2, 3].map(async () => (await node.run('waiting')).id))
      await eventually(async () => expect(await store.runs.count()).toMatchObject({ running: 3 }))
      await node.runs.cancel(ids[1]!)
      await node.waitFor(ids[1]!)
      expect(await store.runs.count()).toMatchObject({ running: 2, cancelled: 1 })
      const queued = await node.enqueue('waiting', { runAt: new Date('2999-01-01T00:00:00Z') })
      const dryRun = true
      expect(await node.runs.cancel({ jobId: 'waiting', dryRun })).toEqual({ cancelled: 1, requested: 2 })
      expect(await node.runs.cancel({ ids: [queued, ids[0]!], dryRun })).toEqual({ cancelled: 1, requested: 1 })
      expect(await node.runs.cancel({ state: 'running', dryRun })).toEqual({ cancelled: 0, requested: 2 })
      expect(await node.runs.cancel({ jobId: 'other', dryRun })).toEqual({ cancelled: 0, requested: 0 })
      expect(await node.runs.cancel(queued)).toMatchObject({ state: 'cancelled' })
      expect(await store.runs.count()).toMatchObject({ running: 2, cancelled: 2 })
      expect(await node.runs.cancel({ jobId: 'waiting' })).toEqual({ cancelled: 0, requested: 2 })
      await Promise.all(ids.map((id) => node.waitFor(id)))
      expect(await store.runs.count()).toMatchObject({ running: 0, cancelled: 4 })
    })

    it('ends a queued run, which never begins, and notifies its waiters', async () => {
      const client = await startApp(fixture.options, waiting(), { execute: false })
      const waited = client.run('waiting', { wait: true }).catch((error: unknown) => error)
      const run = await eventually(async () => {
        const [found] = await client.runs.list()
        expect(found).toBeDefined()
        return found as Run
      })
      expect(await client.runs.cancel(run.id)).toMatchObject({ state: 'cancelled', attempt: 0 })
      expect(await waited).toMatchObject({ code: 'RUN_FAILED', run: { state: 'cancelled' } })
      const node = await startApp(fixture.options, waiting())
      const started = recordEvents(node, 'run.started')
      const { id } = await node.run('waiting')
      await eventually(() => expect(started).toMatchObject([{ runId: id }]))
      await node.runs.cancel(id)
      await node.waitFor(id)
    })

    it('returns an ended run unchanged, and refuses one that does not exist', async () => {
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a' }, () => 1),
      )
      const { id } = await app.run('a', { wait: true })
      expect(await app.runs.cancel(id)).toMatchObject({ state: 'succeeded', output: 1, cancelRequestedAt: undefined })
      expect(await rejected(app.runs.cancel(id + 1))).toMatchObject({ code: 'RUN_UNKNOWN' })
      expect(await rejected(app.runs.show(id + 1))).toMatchObject({ code: 'RUN_UNKNOWN' })
      expect(await rejected(app.runs.cancel({}))).toMatchObject({ code: 'USAGE' })
      expect(await rejected(app.runs.replay({}))).toMatchObject({ code: 'USAGE' })
    })

    it('wins over a retry: a handler that fails for another reason is not retried', async () => {
      const gate = new Gate()
      const job = defineJob({ id: 'a', retry: { limit: 5, base: '1ms' } }, async () => {
        await gate.pass()
        throw new Error('boom')
      })
      const node = await startApp(fixture.options, job)
      const started = nextEvent(node, 'run.started')
      const settled = recordEvents(node, 'run.settled')
      const { id } = await node.run('a')
      await started
      // Bypasses the app, because this node must not see the request before the attempt has ended.
      await store.cancels.request({ ids: [id] })
      gate.open()
      expect(await node.waitFor(id)).toMatchObject({ state: 'cancelled', attempt: 1 })
      await eventually(() =>
        expect(settled).toMatchObject([{ outcome: 'cancelled', state: 'cancelled', retryInMs: undefined }]),
      )
      expect((await node.runs.show(id)).attempts).toMatchObject([{ attempt: 1 }])
    })

    it('gives up on a handler that ignores its signal', async () => {
      const gate = new Gate()
      const job = defineJob({ id: 'deaf' }, () => gate.pass())
      const node = await startApp(fixture.options, job, { graceMs: 50 })
      const started = nextEvent(node, 'run.started')
      const settled = nextEvent(node, 'run.settled')
      const { id } = await node.run('deaf')
      await started
      await node.runs.cancel(id)
      expect(await settled).toMatchObject({ state: 'cancelled', isGivenUp: true })
      gate.open()
    })

    it('ends a run whose node has died instead of running it again', async () => {
      const runs: number[] = []
      const job = defineJob({ id: 'a' }, ({ runId }) => void runs.push(runId))
      const [dead] = (await store.runs.enqueue([{ jobId: 'a', kind: 'manual', priority: 0 }])) as [number]
      await store.runs.claim({ nodeId: crypto.randomUUID(), limit: 1, limits: new Map() })
      await store.cancels.request({ ids: [dead] })
      const node = await startApp(fixture.options, job)
      expect(await node.waitFor(dead)).toMatchObject({ state: 'cancelled' })
      expect(runs).toEqual([])
    })
  })

  describe('app.runs.replay', () => {
    it('runs the failed runs of a job again and keeps the earlier attempts', async () => {
      let isBroken = true
      const job = defineJob({ id: 'a', retry: { limit: 1, base: '1ms' } }, () => {
        if (isBroken) throw new Error('boom')
        return 'well'
      })
      const app = await startApp(fixture.options, job)
      const ids = await Promise.all(['x', 'y'].map(async (input) => (await app.run('a', { input })).id))
      for (const id of ids) expect(await app.waitFor(id)).toMatchObject({ state: 'failed', attempt: 2 })
      isBroken = false
      expect(await app.runs.replay({ jobId: 'a', dryRun: true })).toEqual({ count: 2, superseded: 0 })
      expect(await app.runs.replay({ jobId: 'a' })).toEqual({ count: 2, superseded: 0 })
      for (const id of ids) expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1 })
      expect((await app.runs.show(ids[0]!)).attempts).toMatchObject([
        { attempt: 1, outcome: 'failed', error: { message: 'boom' } },
        { attempt: 2, outcome: 'failed' },
        { attempt: 1, outcome: 'succeeded', error: undefined },
      ])
      expect(await app.runs.replay({ jobId: 'a' })).toEqual({ count: 0, superseded: 0 })
    })

    it('puts one run back into the queue and returns it, or returns it as it is', async () => {
      let isBroken = true
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a' }, () => {
          if (isBroken) throw new Error('boom')
        }),
      )
      const { id } = await app.run('a')
      expect(await app.waitFor(id)).toMatchObject({ state: 'failed' })
      isBroken = false
      expect(await app.runs.replay(id)).toMatchObject({ id, jobId: 'a' })
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1 })
      expect(await app.runs.replay(id)).toMatchObject({ id, state: 'succeeded', attempt: 1 })
      expect(await rejected(app.runs.replay(id + 1))).toMatchObject({ code: 'RUN_UNKNOWN' })
    })
  })
})
