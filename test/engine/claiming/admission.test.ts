import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../../src/app/piko.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import { rejected } from '../../support/thrown.ts'
import { nextEvent, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

/** The most handlers that ran at the same time, by key. */
class Gauge {
  readonly #now = new Map<string, number>()
  readonly most = new Map<string, number>()
  mostInAll = 0
  #all = 0

  async hold(key: string, ms: number): Promise<void> {
    const count = (this.#now.get(key) ?? 0) + 1
    this.#now.set(key, count)
    this.#all++
    this.most.set(key, Math.max(count, this.most.get(key) ?? 0))
    this.mostInAll = Math.max(this.mostInAll, this.#all)
    await sleep(ms)
    this.#now.set(key, (this.#now.get(key) ?? 0) - 1)
    this.#all--
  }
}

describeEachStore((fixture) => {
  const nodes = async (count: number, ...jobs: JobDefinition[]): Promise<Piko[]> => {
    await fixture.open()
    await fixture.empty()
    const apps: Piko[] = []
    for (let index = 0; index < count; index++) apps.push(await startApp(fixture.options, jobs))
    return apps
  }

  const allDone = async (app: Piko, ids: readonly number[]): Promise<void> => {
    for (const id of ids) expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
  }

  it('limits the concurrent runs of each key over all nodes', async () => {
    const gauge = new Gauge()
    const config = z.object({ shop: z.string() })
    const job = defineJob({ id: 'sync', config, concurrency: { limit: 2, key: (run) => run.config.shop } }, (ctx) =>
      gauge.hold(ctx.config.shop, 20),
    )
    const [app] = (await nodes(2, job)) as [Piko, Piko]
    const ids = await Promise.all(
      Array.from({ length: 60 }, (_, index) => app.enqueue('sync', { config: { shop: `shop${index % 4}` } })),
    )
    await allDone(app, ids)
    expect([...gauge.most.values()]).toEqual([2, 2, 2, 2])
    expect(gauge.mostInAll).toBeGreaterThan(4)
  })

  it('lets later runs overtake those of a full key, and does not limit a run without a key', async () => {
    const job = defineJob(
      { id: 'sync', concurrency: { limit: 1, key: (run) => (run.input === 'free' ? undefined : String(run.input)) } },
      async (ctx) => {
        if (ctx.input === 'slow') await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      },
    )
    const [app] = (await nodes(1, job)) as [Piko]
    const slow = await Promise.all(Array.from({ length: 30 }, () => app.enqueue('sync', { input: 'slow' })))
    await Promise.all([
      app.run('sync', { input: 'quick', wait: true }),
      ...Array.from({ length: 3 }, () => app.run('sync', { input: 'free', wait: true })),
    ])
    expect((await app.runs.list({ jobId: 'sync', state: 'running' })).map((run) => run.id)).toEqual([slow[0]])
    await app.runs.cancel({ jobId: 'sync' })
  })

  it('refuses a key that is not a string, before anything is stored', async () => {
    const job = defineJob({ id: 'sync', concurrency: { limit: 1, key: () => 7 as unknown as string } }, () => {})
    const [app] = (await nodes(1, job)) as [Piko]
    const error = await rejected(app.enqueue('sync'))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toMatch(/concurrency\.key of job "sync" returned 7; expected a string/)
    expect(await app.runs.list()).toEqual([])
  })

  it('keeps a rate over all nodes, for each key', async () => {
    const begun: { key: string; at: number }[] = []
    const job = defineJob({ id: 'call', rate: { rate: '5/s', key: (run) => String(run.input) } }, (ctx) => {
      begun.push({ key: String(ctx.input), at: performance.now() })
    })
    const [app] = (await nodes(2, job)) as [Piko, Piko]
    const since = performance.now()
    const ids = await Promise.all(Array.from({ length: 24 }, (_, index) => app.enqueue('call', { input: index % 2 })))
    await allDone(app, ids)
    // Twelve runs of each key: five immediately, five after the first second, two after another second.
    expect(performance.now() - since).toBeGreaterThan(1_900)
    for (const key of ['0', '1']) {
      const times = begun.filter((one) => one.key === key).map((one) => one.at)
      expect(times.filter((at) => at - times[0]! < 900)).toHaveLength(5)
    }
  })

  it('applies a rate without a key to the whole job, including retries', async () => {
    const job = defineJob({ id: 'call', rate: '3/s', retry: { limit: 1, base: '1ms' } }, (ctx) => {
      if (ctx.attempt === 1) throw new Error('once more')
    })
    const [app] = (await nodes(1, job)) as [Piko]
    const since = performance.now()
    await allDone(app, await Promise.all(Array.from({ length: 3 }, () => app.enqueue('call'))))
    expect(performance.now() - since).toBeGreaterThan(900)
  })

  it('frees the places of a killed node when its runs are recovered', async () => {
    const store = await fixture.open()
    const [app] = (await nodes(
      1,
      defineJob({ id: 'sync', concurrency: { limit: 1, key: () => 'k' } }, () => {}),
    )) as [Piko]
    const id = await app.enqueue('sync', { runAt: new Date(Date.now() + 3_600_000) })
    // The state that a killed node leaves: the run is running, and the node has no row.
    await store.db
      .updateTable('piko_run')
      .set({ state: 'running', node_id: crypto.randomUUID(), claims: 1, attempt: 1, run_at: store.dialect.now() })
      .where('id', '=', id)
      .execute()
    const next = await app.run('sync', { wait: true })
    expect(next.state).toBe('succeeded')
    expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
  })

  it.each([
    ['bufferOne', { least: 2, mostActive: 2 }],
    ['bufferAll', { least: 2, mostActive: Infinity }],
  ] as const)('overlap %s: a tick waits for the end of the previous run', async (overlap, { least, mostActive }) => {
    const gauge = new Gauge()
    const [app] = (await nodes(
      1,
      defineJob({ id: 'tick', every: '100ms', overlap }, () => gauge.hold('tick', 350)),
    )) as [Piko]
    const settled = recordEvents(app, 'run.settled')
    const skipped = recordEvents(app, 'tick.skipped')
    let most = 0
    while (settled.length < least + 1) {
      await nextEvent(app, 'run.settled')
      const active = (await app.runs.list({ jobId: 'tick' })).filter(
        (run) => run.state === 'queued' || run.state === 'running',
      )
      most = Math.max(most, active.length)
    }
    expect(gauge.mostInAll).toBe(1)
    expect(most).toBeLessThanOrEqual(mostActive)
    expect(skipped.length > 0).toBe(overlap === 'bufferOne')
  })

  it('overlap cancelOther: a tick cancels the previous run and starts when that has ended', async () => {
    let under = 0
    let most = 0
    const job = defineJob({ id: 'tick', every: '1s', overlap: 'cancelOther' }, async (ctx) => {
      most = Math.max(most, ++under)
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      under--
    })
    await fixture.open()
    await fixture.empty()
    // If the next run has begun by the end of the test, only the stop ends it.
    const app = await startApp(fixture.options, job, { settings: { piko: { shutdown_timeout: '1s' } } })
    const first = await nextEvent(app, 'run.settled')
    const second = await nextEvent(app, 'run.settled')
    expect([first.state, second.state, most]).toEqual(['cancelled', 'cancelled', 1])
    expect(second.runId).toBeGreaterThan(first.runId)
  })
})
