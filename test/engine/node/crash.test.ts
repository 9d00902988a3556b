import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Claim } from '../../../src/run/run.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { FENCE_FACTOR } from '../../../src/store/runs/fence.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, makeApp, nextEvent, recordEvents, startApp, testSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  const work = defineJob({ id: 'work', retry: { limit: 0 } }, () => process.pid)

  const enqueue = (count: number): Promise<number[]> =>
    store.runs.enqueue(Array.from({ length: count }, () => ({ jobId: 'work', kind: 'manual', priority: 0 })))

  describe('a process that is killed', () => {
    // On SQLite the pid shows immediately that the process has ended, however long its lease is.
    const lease = fixture.name === 'sqlite' ? '600s' : '2s'

    it('leaves its runs to the next process, uncounted', async () => {
      const ids = await enqueue(12)
      const settings = testSettings(fixture.options, { piko: { lease, concurrency: 8 } })
      const child = new WorkerProcess({ mode: 'hold', settings })
      await child.told('running', 8)
      await child.kill()
      const killedAt = Date.now()
      expect(await store.runs.count('work')).toMatchObject({ running: 8, queued: 4 })

      const app = makeApp(fixture.options, work)
      const recovered = recordEvents(app, 'runs.recovered')
      await app.start()
      const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
      const tookMs = Date.now() - killedAt
      for (const run of runs) expect(run).toMatchObject({ state: 'succeeded', attempt: 1, output: process.pid })
      const claims = runs.map((run) => run.fence - run.id * FENCE_FACTOR).sort()
      expect(claims).toEqual([...Array.from({ length: 4 }, () => 1), ...Array.from({ length: 8 }, () => 2)])
      expect(recovered.reduce((sum, one) => sum + one.count, 0)).toBe(8)
      if (fixture.name === 'sqlite') expect(tookMs).toBeLessThan(120_000)
      expect(await store.nodes.list()).toHaveLength(1)
    })

    it('during many short runs loses none and ends none twice', async () => {
      const settings = testSettings(fixture.options, { piko: { lease, concurrency: 25 } })
      const children = [1, 2].map(() => new WorkerProcess({ mode: 'churn', settings }))
      await Promise.all(children.map((child) => child.told('started')))
      const ids = await enqueue(400)
      await eventually(async () => {
        const told = children.flatMap((child) => child.lines.filter((line) => line.startsWith('running')))
        // More than both nodes take before some ends are stored: three times their slots.
        expect(told.length).toBeGreaterThan(150)
        expect(await store.runs.count('work')).not.toMatchObject({ succeeded: 0 })
      })
      await Promise.all(children.map((child) => child.kill()))
      const before = (await store.runs.findEach(ids)).runs
      const ended = before.filter((run) => run.state === 'succeeded')
      expect(ended.length).toBeGreaterThan(0)
      expect(ended.length).toBeLessThan(400)

      const app = await startApp(fixture.options, work)
      const settled = recordEvents(app, 'run.settled')
      await Promise.all(ids.map((id) => app.waitFor(id)))
      const after = (await store.runs.findEach(ids)).runs
      expect(after.every((run) => run.state === 'succeeded' && run.attempt === 1)).toBe(true)
      // Runs that had ended did not change, and runs that ended here ended once.
      const endedIds = new Set(ended.map((run) => run.id))
      expect(after.filter((run) => endedIds.has(run.id))).toEqual(ended)
      const here = after.filter((run) => run.output === process.pid).map((run) => run.id)
      await eventually(() => {
        const settledHere = settled.filter((one) => one.jobId === 'work').map((one) => one.runId)
        expect(settledHere.sort((a, b) => a - b)).toEqual(here.sort((a, b) => a - b))
      })
    })
  })

  describe('a node without its lease', () => {
    it('aborts its handlers, writes nothing for them and continues under a new id', async () => {
      const reasons: unknown[] = []
      let isLost = false
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a', retry: { limit: 0 } }, async ({ signal, fence, attempt }) => {
          if (isLost) return { fence, attempt }
          await new Gate().pass(signal).catch((error: unknown) => reasons.push(error))
          return 'of the first'
        }),
      )
      app.events.on('node.lost', () => (isLost = true))
      const [lost, left] = [nextEvent(app, 'run.lost'), nextEvent(app, 'node.lost')]
      const [settled, recovered] = [recordEvents(app, 'run.settled'), recordEvents(app, 'runs.recovered')]
      const started = nextEvent(app, 'run.started')
      const { id } = await app.run('a')
      await started
      const [node] = await store.nodes.list()
      await store.nodes.remove([node!.id])
      const { nodeId, newNodeId } = await left
      expect(nodeId).toBe(node!.id)
      expect(await lost).toMatchObject({ runId: id, jobId: 'a' })
      expect(reasons[0]).toMatchObject({ code: 'LEASE_LOST' })
      const run = await app.waitFor(id)
      expect(run).toMatchObject({ state: 'succeeded', attempt: 1, nodeId: newNodeId })
      expect(run.output).toEqual({ fence: run.fence, attempt: 1 })
      expect(run.fence).toBeGreaterThan(id * FENCE_FACTOR + 1)
      await eventually(() => expect(settled.map((one) => one.outcome)).toEqual(['success']))
      // The run may be claimed and end before the recovery that has returned it says so.
      await eventually(() => expect(recovered[0]).toEqual({ count: 1, nodeIds: [nodeId] }))
      expect(await store.nodes.list()).toMatchObject([{ id: newNodeId }])
    })

    it('does not fail runs that it claims until its heartbeat notices the loss', async () => {
      let calls = 0
      // Its heartbeat does not check before the test has ended, and its handler ends only when a stop gives it up.
      const settings = { piko: { lease: '600s', shutdown_timeout: '1s' }, history: { lost_attempts: 2 } }
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a', retry: { limit: 0 } }, async ({ signal }) => {
          calls++
          await new Gate().pass(signal)
        }),
        { settings },
      )
      const { id } = await app.run('a')
      await eventually(() => expect(calls).toBe(1))
      const [node] = await store.nodes.list()
      await store.nodes.remove([node!.id])
      for (const count of [2, 3, 4]) {
        // A starting node returns the run to the queue, and does not know its job.
        const other = await startApp(fixture.options, work, { settings })
        await other.stop()
        // A second look of the starting node may return it once more.
        await eventually(() => expect(calls).toBeGreaterThanOrEqual(count))
      }
      await eventually(async () =>
        expect(await store.runs.find(id)).toMatchObject({ state: 'running', attempt: 1, nodeId: node!.id }),
      )
    })

    it('does not recover its own runs before it has its new id', async () => {
      const [own, next] = [crypto.randomUUID(), crypto.randomUUID()]
      const [id] = await enqueue(1)
      await store.runs.claim({ nodeId: own, limit: 1, limits: new Map() })
      expect(await store.runs.recover(1, own)).toMatchObject({ count: 0, nodeIds: [], refused: [] })
      expect(await store.runs.find(id!)).toMatchObject({ state: 'running', nodeId: own })
      expect(await store.runs.recover(2, next)).toMatchObject({ count: 1, nodeIds: [own], refused: [] })
      expect(await store.runs.find(id!)).toMatchObject({ state: 'queued', attempt: 0 })
    })

    it('fails a run if several nodes died with it, but not if one node lost it several times', async () => {
      const [one, two] = [crypto.randomUUID(), crypto.randomUUID()]
      const [id] = await enqueue(1)
      for (const nodeId of [one, one, one]) {
        await store.runs.claim({ nodeId, limit: 1, limits: new Map() })
        await store.runs.recover(2)
        expect(await store.runs.find(id!)).toMatchObject({ state: 'queued', attempt: 0 })
      }
      await store.runs.claim({ nodeId: two, limit: 1, limits: new Map() })
      await store.runs.recover(2)
      expect(await store.runs.find(id!)).toMatchObject({ state: 'failed', error: { code: 'RUN_CRASHED' } })
    })

    it('can still end the second attempt of a run after a late end of the first one', async () => {
      const [first, second] = [new Gate(), new Gate()]
      let isLost = false
      let reason: unknown
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a' }, async ({ signal }) => {
          // The handler ignores its signal.
          if (!isLost) return first.pass()
          second.open()
          await new Gate().pass(signal).catch((error: unknown) => {
            reason = error
            throw error
          })
        }),
        { settings: { piko: { shutdown_timeout: '400ms' } } },
      )
      app.events.on('node.lost', () => (isLost = true))
      const lost = nextEvent(app, 'run.lost')
      const started = nextEvent(app, 'run.started')
      const { id } = await app.run('a')
      await started
      const [node] = await store.nodes.list()
      await store.nodes.remove([node!.id])
      await second.pass()
      first.open()
      await lost
      await app.stop()
      expect(reason).toMatchObject({ code: 'STOPPED' })
      expect(await store.runs.find(id)).toMatchObject({ state: 'queued', attempt: 0 })
    })
  })

  describe('a run that another claim took without the knowledge of its node', () => {
    /** Does the work of recovery by hand. */
    const requeue = (runId: number): Promise<unknown> =>
      database.db
        .updateTable('piko_run')
        .set({ state: 'queued', node_id: null, attempt: 0 })
        .where('id', '=', runId)
        .execute()

    it('keeps the result of the newer claim', async () => {
      const [first, second] = [new Gate(), new Gate()]
      let calls = 0
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a' }, async () => {
          const call = ++calls
          await (call === 1 ? first : second).pass()
          if (call === 1) throw new Error('late failure')
          return `call ${call}`
        }),
      )
      const lost = recordEvents(app, 'run.lost')
      const { id } = await app.run('a')
      await eventually(() => expect(calls).toBe(1))
      await requeue(id)
      await eventually(() => expect(calls).toBe(2))
      first.open()
      await eventually(() => expect(lost).toEqual([{ runId: id, jobId: 'a', fence: id * FENCE_FACTOR + 1 }]))
      expect(await app.runs.show(id)).toMatchObject({ state: 'running', error: undefined })
      second.open()
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', output: 'call 2', attempt: 1 })
      expect(lost).toHaveLength(1)
    })

    it('settles its window only by the newer claim', async () => {
      const [first, second] = [new Gate(), new Gate()]
      let calls = 0
      const start = new Date('2025-01-01T00:00:00Z')
      const windows = { start, end: new Date('2025-01-02T00:00:00Z') }
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'a', every: '1d', windows }, () => (++calls === 1 ? first : second).pass()),
      )
      const lost = nextEvent(app, 'run.lost')
      const { runId } = await nextEvent(app, 'run.started')
      await requeue(runId)
      await eventually(() => expect(calls).toBe(2))
      first.open()
      await lost
      expect(await app.windows.list('a')).toMatchObject([{ state: 'running', runId }])
      second.open()
      await app.waitFor(runId)
      expect(await app.windows.list('a')).toMatchObject([{ state: 'succeeded', runId }])
      const [row] = await database.db.selectFrom('piko_window').select('fence').execute()
      expect(row?.fence).toBe(runId * FENCE_FACTOR + 2)
    })

    it('is distinguished from its newer claim even if one write ends both', async () => {
      const [runId] = (await enqueue(1)) as [number]
      const nodeId = '00000000-0000-4000-8000-000000000001'
      const claimOne = async (): Promise<Claim> =>
        (await store.runs.claim({ nodeId, limit: 1, limits: new Map() })).claims[0]!
      const older = await claimOne()
      await requeue(runId)
      const newer = await claimOne()
      const { lost } = await store.runs.finish(nodeId, [
        { claim: older, transition: { to: 'failed', error: { name: 'Error', message: 'late' } } },
        { claim: newer, transition: { to: 'succeeded', output: 'newer' } },
      ])
      expect(lost).toEqual([older])
      expect(await store.runs.find(runId)).toMatchObject({ state: 'succeeded', output: 'newer' })
    })
  })

  it('two apps in one process do not consider each other dead', async () => {
    const gate = new Gate()
    const job = defineJob({ id: 'a' }, async () => gate.pass())
    const one = await startApp(fixture.options, job)
    const lost = [...(['run.lost', 'node.lost'] as const)].map((name) => recordEvents(one, name))
    const started = nextEvent(one, 'run.started')
    const { id } = await one.run('a')
    await started
    const two = await startApp(fixture.options, job)
    expect(await store.nodes.list()).toHaveLength(2)
    await two.stop()
    gate.open()
    expect(await one.waitFor(id)).toMatchObject({ state: 'succeeded', fence: id * FENCE_FACTOR + 1 })
    expect(lost).toEqual([[], []])
  })
})
