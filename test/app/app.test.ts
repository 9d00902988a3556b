import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { RunFailedError } from '../../src/operations/runs/run-failed-error.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Run } from '../../src/run/run.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Gate, Headcount, nextEvent, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const RETRY_AT_ONCE = { limit: 2, backoff: 'fixed', base: '1ms', jitter: false } as const

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const insertRun = async (columns: Record<string, string | number>): Promise<number> => {
    const now = store.name === 'mysql' ? 'UTC_TIMESTAMP(3)' : `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
    const values: Record<string, string | number> = { state: 'queued', kind: 'manual', ...columns }
    const names = Object.keys(values)
    await database.sql.exec(
      `INSERT INTO piko_run (${names.join(', ')}, run_at, created_at) VALUES (${names.map(() => '?').join(', ')}, ${now}, ${now})`,
      Object.values(values),
    )
    const [row] = await database.sql.query<{ id: number }>('SELECT MAX(id) AS id FROM piko_run')
    return row!.id
  }

  describe('a requested run', () => {
    it('returns its output to a caller that waits', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'sum' }, async (ctx) => ({ sum: (ctx.input as number[]).reduce((a, b) => a + b) })),
      )
      const run = await app.run('sum', { input: [1, 2, 3], wait: true })
      expect(run).toMatchObject({
        state: 'succeeded',
        output: { sum: 6 },
        attempt: 1,
        kind: 'manual',
        error: undefined,
      })
      expect(await app.runs.show(run.id)).toMatchObject(run)
    })

    it('is returned as queued to a caller that does not wait, who can wait for it later', async () => {
      const gate = new Gate()
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => gate.pass()),
      )
      const run = await app.run('a')
      expect(['queued', 'running']).toContain(run.state)
      gate.open()
      expect(await app.waitFor(run.id)).toMatchObject({ id: run.id, state: 'succeeded' })
      expect(await app.waitFor(run.id)).toMatchObject({ id: run.id, state: 'succeeded' })
      expect((await rejected(app.waitFor(run.id + 1_000))).code).toBe('RUN_UNKNOWN')
    })

    it('is refused for an unknown job, with a suggestion of the intended id', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'sync_orders' }, () => {}),
      )
      const error = await rejected(app.run('sync_order'))
      expect([error.code, error.message]).toEqual([
        'JOB_UNKNOWN',
        'no job has the id "sync_order", did you mean "sync_orders"?; the jobs are sync_orders',
      ])
    })

    it('gets its input, and the config with the defaults of its schema', async () => {
      const config = z.object({ shop: z.string().default('eu'), pages: z.number().int() })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', config }, (ctx) => ({ config: ctx.config, input: ctx.input })),
      )
      const run = await app.run('a', { config: { pages: 2 }, input: { since: null }, wait: true })
      expect(run.output).toEqual({ config: { shop: 'eu', pages: 2 }, input: { since: null } })
      expect(run.config).toEqual({ pages: 2 })
    })

    it('is refused when its config does not match the schema, and nothing is stored', async () => {
      const config = z.object({ shop: z.enum(['eu', 'us']) })
      const app = await startApp(store.options, [
        defineJob({ id: 'schema', config }, () => {}),
        defineJob({ id: 'free' }, () => {}),
      ])
      const error = await rejected(app.run('schema', { config: { shop: 'mars' } }))
      expect(error.code).toBe('CONFIG_INVALID')
      expect(error.message).toContain('the config {"shop":"mars"} of job "schema" does not match its schema: shop: ')
      expect((await rejected(app.run('free', { config: 'eu' }))).code).toBe('CONFIG_INVALID')
      expect(await app.runs.list()).toEqual([])
    })

    it.each([
      ['the schema refuses', { config: '{"shop":7}' }],
      ['is no JSON', { config: "{shop: 'eu'}" }],
    ])('fails immediately, without a retry, when the config that was stored by hand %s', async (_, columns) => {
      const app = await startApp(store.options, [
        defineJob({ id: 'a', config: z.object({ shop: z.string() }), retry: RETRY_AT_ONCE }, () => {}),
        defineJob({ id: 'other' }, () => 'went on'),
      ])
      const id = await insertRun({ job_id: 'a', ...columns })
      const run = await app.waitFor(id)
      expect(run).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'CONFIG_INVALID' } })
      expect(await app.run('other', { wait: true })).toMatchObject({ output: 'went on' })
      expect((await app.runs.list()).map((one) => one.id)).toContain(id)
    })

    it('does not run before its time', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => Date.now()),
      )
      const runAt = new Date(Date.now() + 400)
      const run = await app.run('a', { runAt, wait: true })
      expect(run.runAt).toEqual(runAt)
      expect((run.output as number) - runAt.getTime()).toBeGreaterThanOrEqual(-2)
      expect((run.output as number) - runAt.getTime()).toBeLessThan(30_000)
    })

    it("is refused alone when the database can't hold it", async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, (ctx) => ctx.input),
      )
      const requests = [
        app.run('a', { input: 1, wait: true }),
        app.run('a', { priority: 40_000 }),
        app.run('a', { runAt: new Date(NaN) }),
        app.run('a', { input: 2n }),
        app.run('a', { input: 'x'.repeat(1_000_001) }),
        app.run('a', { config: { text: 'x'.repeat(70_000) } }),
        app.run('a', { input: 6, wait: true }),
      ]
      const results = await Promise.allSettled(requests)
      const codes = results.map((one) =>
        one.status === 'fulfilled' ? one.value.output : (one.reason as Error & { code: string }).code,
      )
      expect(codes).toEqual([1, 'USAGE', 'USAGE', 'USAGE', 'USAGE', 'CONFIG_INVALID', 6])
      expect(await app.runs.list()).toHaveLength(2)
    })

    it('is stored with many others even when their inputs together exceed one statement', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, (ctx) => (ctx.input as string).length),
      )
      const lengths = Array.from({ length: 18 }, (_, index) => 990_000 + index)
      const runs = await Promise.all(
        lengths.map((length) => app.run('a', { input: '"'.repeat(length / 2), wait: true })),
      )
      expect(runs.map((run) => run.output)).toEqual(lengths.map((length) => Math.floor(length / 2)))
    })

    it('finishes with a thousand others that wait in the same process', async () => {
      const inside = new Headcount()
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, async (ctx) => {
          inside.enter()
          await new Promise((resolve) => setTimeout(resolve, 5))
          inside.leave()
          return ctx.input
        }),
        { settings: { piko: { concurrency: 200 } } },
      )
      const runs = await Promise.all(
        Array.from({ length: 1_000 }, (_, index) => app.run('a', { input: index, wait: true })),
      )
      expect(runs.map((run) => run.output)).toEqual(Array.from({ length: 1_000 }, (_, index) => index))
      expect(inside.most).toBeLessThanOrEqual(200)
      expect(inside.most).toBeGreaterThan(100)
    })

    it('continues when the signal aborts the wait for it', async () => {
      const gate = new Gate()
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => gate.pass()),
      )
      const controller = new AbortController()
      const started = nextEvent(app, 'run.started')
      const waiting = app.run('a', { wait: true, signal: controller.signal })
      const { runId } = await started
      controller.abort(new Error('enough'))
      await expect(waiting).rejects.toThrow('enough')
      gate.open()
      expect(await app.waitFor(runId)).toMatchObject({ state: 'succeeded' })
    })
  })

  describe('a run that fails', () => {
    it('throws RUN_FAILED with the run to a caller that waits', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => {
          throw new TypeError('no such shop')
        }),
      )
      const error = await rejected(app.run('a', { wait: true }))
      expect(error).toBeInstanceOf(RunFailedError)
      const { run } = error as RunFailedError
      expect(run).toMatchObject({ state: 'failed', attempt: 1, error: { name: 'TypeError', message: 'no such shop' } })
      expect([error.code, error.message]).toEqual([
        'RUN_FAILED',
        `run ${run.id} of job "a" failed after 1 attempt: TypeError: no such shop`,
      ])
    })

    it('is retried after its back-off and counts its attempts', async () => {
      const times: number[] = []
      const retry = { limit: 3, backoff: 'exponential', base: '100ms', jitter: false } as const
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', retry }, (ctx) => {
          times.push(Date.now())
          if (ctx.attempt < 3) throw new Error(`attempt ${ctx.attempt}`)
          return ctx.attempt
        }),
      )
      const settled = recordEvents(app, 'run.settled')
      const run = await app.run('a', { wait: true })
      expect(run).toMatchObject({ state: 'succeeded', attempt: 3, output: 3, error: undefined })
      await eventually(() => expect(settled).toHaveLength(3))
      expect(settled.map(({ outcome, state, attempt, retryInMs }) => [attempt, outcome, state, retryInMs])).toEqual([
        [1, 'failure', 'queued', 100],
        [2, 'failure', 'queued', 200],
        [3, 'success', 'succeeded', undefined],
      ])
      expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(99)
      expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(199)
    })

    it('stays failed after its last retry, with its error and all causes', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', retry: RETRY_AT_ONCE }, (ctx) => {
          const cause = new Error('connection reset')
          throw Object.assign(new RangeError(`attempt ${ctx.attempt}`, { cause }), { code: 'E_SHOP' })
        }),
      )
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run).toMatchObject({
        state: 'failed',
        attempt: 3,
        error: { name: 'RangeError', message: 'attempt 3', code: 'E_SHOP' },
      })
      expect(run.error?.stack).toMatch(
        /^RangeError: attempt 3\n.*app\.test\.ts[^]*\nCaused by: Error: connection reset/,
      )
      expect(run.finishedAt).toBeInstanceOf(Date)
    })

    it.each<[string, unknown, object]>([
      ['a text', 'out of paper', { name: 'Error', message: 'a value that is not an Error was thrown: "out of paper"' }],
      ['undefined', undefined, { message: 'a value that is not an Error was thrown: undefined' }],
      [
        'an error whose message is no text',
        Object.assign(new Error(), { message: { status: 500 } }),
        { message: '{"status":500}' },
      ],
      ['an error whose name is no text', Object.assign(new Error('odd'), { name: 42 }), { name: '42', message: 'odd' }],
    ])('stores the thrown value when it is %s', async (_, thrown, stored) => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => {
          throw thrown
        }),
      )
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run).toMatchObject({ state: 'failed', error: stored })
    })

    it.each<[string, () => unknown]>([
      ['holds a bigint', () => ({ rows: 3n })],
      ['refers to itself', () => Object.assign([], { 0: globalThis })],
      ['is a function', () => () => 1],
      ['is too large', () => 'x'.repeat(1_000_001)],
    ])("fails alone when its output %s, which JSON or the row can't hold", async (_, output) => {
      const app = await startApp(store.options, [
        defineJob({ id: 'bad' }, () => output()),
        defineJob({ id: 'good' }, () => 'stored'),
      ])
      const failures = recordEvents(app, 'loop.failed')
      const [bad, good] = await Promise.all([rejected(app.run('bad', { wait: true })), app.run('good', { wait: true })])
      expect([(bad as RunFailedError).run.error?.code, good.output]).toEqual(['USAGE', 'stored'])
      expect(failures).toEqual([])
    })
  })

  describe('a timeout', () => {
    it("aborts the handler's signal with RUN_TIMEOUT", async () => {
      let reason: unknown
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', timeout: '80ms' }, async ({ signal }) => {
          await new Gate().pass(signal).catch((error: unknown) => (reason = error))
          throw new Error('what the handler says of it does not matter')
        }),
      )
      const settled = nextEvent(app, 'run.settled')
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(reason).toMatchObject({ code: 'RUN_TIMEOUT' })
      expect(run.error).toMatchObject({
        code: 'RUN_TIMEOUT',
        message: `run ${run.id} of job "a" took longer than its timeout of 80 ms`,
      })
      expect(await settled).toMatchObject({ outcome: 'timeout', state: 'failed' })
    })

    it('is retried like a failure, and does not affect a run that ends in time', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', timeout: '250ms', retry: RETRY_AT_ONCE }, async (ctx) => {
          if (ctx.attempt === 1) await new Gate().pass(ctx.signal)
          return ctx.attempt
        }),
      )
      const settled = recordEvents(app, 'run.settled')
      expect(await app.run('a', { wait: true })).toMatchObject({ output: 2, attempt: 2 })
      // The end is stored and reaches waiters before the node gets the answer.
      await eventually(() => expect(settled.map((one) => one.outcome)).toEqual(['timeout', 'success']))
    })

    it('gives up a handler that ignores its signal after the grace time, and drops its later results', async () => {
      const [stuck, over] = [new Gate(), new Gate()]
      const app = await startApp(
        store.options,
        [
          defineJob({ id: 'stuck', timeout: '50ms' }, async () => {
            await stuck.pass()
            over.open()
            return 'too late'
          }),
          defineJob({ id: 'next' }, () => 'has the slot'),
        ],
        { graceMs: 100, settings: { piko: { concurrency: 1 } } },
      )
      const ends = recordEvents(app, 'run.settled')
      const failed = rejected(app.run('stuck', { wait: true }))
      const next = app.run('next', { wait: true })
      const { run } = (await failed) as RunFailedError
      expect(run).toMatchObject({ state: 'failed', error: { code: 'RUN_TIMEOUT' } })
      expect(await next).toMatchObject({ output: 'has the slot' })
      await eventually(() => expect(ends).toHaveLength(2))
      expect(ends).toMatchObject([
        { jobId: 'stuck', outcome: 'timeout', isGivenUp: true },
        { jobId: 'next', isGivenUp: false },
      ])
      const settled = recordEvents(app, 'run.settled')
      stuck.open()
      await over.pass()
      await app.run('next', { wait: true })
      await eventually(() => expect(settled.map((one) => one.jobId)).toEqual(['next']))
      expect(await app.runs.show(run.id)).toMatchObject(run)
    })
  })

  describe('the queue', () => {
    it('claims smaller priorities first, and the longest due among equals', async () => {
      const order: unknown[] = []
      const gate = new Gate()
      const app = await startApp(
        store.options,
        [
          defineJob({ id: 'blocker' }, () => gate.pass()),
          defineJob({ id: 'plain' }, (ctx) => void order.push(ctx.input)),
          defineJob({ id: 'urgent', priority: -1 }, (ctx) => void order.push(ctx.input)),
        ],
        { settings: { piko: { concurrency: 1 } } },
      )
      const started = nextEvent(app, 'run.started')
      await app.run('blocker')
      await started
      const runs: Run[] = []
      for (const [jobId, options] of [
        ['plain', { input: 'third' }],
        ['plain', { input: 'fourth' }],
        ['urgent', { input: 'second' }],
        ['plain', { input: 'first', priority: -5 }],
        ['urgent', { input: 'last', priority: 5 }],
      ] as const) {
        runs.push(await app.run(jobId, options))
      }
      gate.open()
      await Promise.all(runs.map((run) => app.waitFor(run.id)))
      expect(order).toEqual(['first', 'second', 'third', 'fourth', 'last'])
    })

    it('leaves a run of an unknown job queued and uncounted, and claims the runs after it', async () => {
      const id = await insertRun({ job_id: 'gone', priority: -100 })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, () => 'ran'),
        {
          settings: { piko: { concurrency: 1 } },
        },
      )
      expect(await app.run('a', { wait: true })).toMatchObject({ output: 'ran' })
      await eventually(async () => {
        expect(await app.runs.show(id)).toMatchObject({
          state: 'queued',
          attempt: 0,
          nodeId: undefined,
          error: undefined,
        })
      })
      // The dispatcher tries it once and then leaves it alone for a while; the fence shows how often it was claimed.
      const fence = (await app.runs.show(id)).fence
      for (let round = 0; round < 5; round++) await app.run('a', { wait: true })
      expect((await app.runs.show(id)).fence).toBe(fence)
    })

    it('never exceeds the concurrency of a job, while other jobs run beside it', async () => {
      const inside = new Headcount()
      const app = await startApp(store.options, [
        defineJob({ id: 'limited', concurrency: 3 }, async () => {
          inside.enter()
          await new Promise((resolve) => setTimeout(resolve, 10))
          inside.leave()
        }),
        defineJob({ id: 'other' }, () => {}),
      ])
      const limited = Array.from({ length: 30 }, () => app.run('limited', { wait: true }))
      await app.run('other', { wait: true })
      expect(inside.most).toBeLessThanOrEqual(3)
      await Promise.all(limited)
      expect(inside.most).toBe(3)
    })

    it('executes each run once with two apps, and keeps the concurrency across both', async () => {
      const inside = new Headcount()
      const done: unknown[] = []
      const by = new Set<number>()
      const full = new Gate()
      const job = (app: number) =>
        defineJob({ id: 'limited', concurrency: 4 }, async (ctx) => {
          inside.enter()
          // The first runs wait for each other, so even a slow machine reaches the limit.
          if (inside.most === 4) full.open()
          await full.pass(ctx.signal)
          await new Promise((resolve) => setTimeout(resolve, 10))
          inside.leave()
          done.push(ctx.input)
          by.add(app)
        })
      const one = await startApp(store.options, job(1), { settings: { piko: { concurrency: 3 } } })
      const two = await startApp(store.options, job(2), { settings: { piko: { concurrency: 3 } } })
      const runs = await Promise.all(
        Array.from({ length: 40 }, (_, input) => (input % 2 ? one : two).run('limited', { input })),
      )
      // The app that waits may not be the one that executes the run.
      await Promise.all(runs.map((run, index) => (index % 2 ? two : one).waitFor(run.id)))
      expect(inside.most).toBe(4)
      expect([...done].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 40 }, (_, input) => input))
      expect(by).toEqual(new Set([1, 2]))
    })
  })

  describe('ticks', () => {
    const ticksOf = (runs: readonly Run[]): number[] => runs.map((run) => run.tick!.getTime()).sort((a, b) => a - b)

    it('fire each second exactly once, at their time, with two apps on the same database', async () => {
      const lateness: number[] = []
      const tick = defineJob({ id: 'tick', cron: '* * * * * *' }, (ctx) => {
        lateness.push(Date.now() - ctx.scheduledTime.getTime())
      })
      const apps = [await startApp(store.options, tick), await startApp(store.options, tick)]
      const runs = await eventually(async () => {
        // All states, because a run may end after the run of the next second.
        const all = await apps[0]!.runs.list({ jobId: 'tick' })
        expect(all.filter(({ state }) => state === 'succeeded').length).toBeGreaterThanOrEqual(4)
        return all
      })
      const ticks = ticksOf(runs)
      expect(ticks).toEqual(ticks.map((_, index) => ticks[0]! + index * 1_000))
      expect(ticks[0]! % 1_000).toBe(0)
      expect(Math.min(...lateness)).toBeGreaterThanOrEqual(-2)
      expect(runs.every((run) => run.kind === 'scheduled' && run.attempt <= 1)).toBe(true)
    })

    it('during an earlier run are recorded as skipped with overlap: skip', async () => {
      const gate = new Gate()
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', every: '100ms', overlap: 'skip' }, () => gate.pass()),
      )
      const events = recordEvents(app, 'tick.skipped')
      await eventually(() => expect(events.length).toBeGreaterThanOrEqual(3))
      const runs = await app.runs.list({ jobId: 'a' })
      expect(runs.filter((run) => run.state !== 'skipped')).toHaveLength(1)
      expect(new Set(runs.filter((run) => run.state === 'skipped').map((run) => run.reason))).toEqual(
        new Set(['overlap']),
      )
      const ticks = ticksOf(runs)
      expect(ticks).toEqual(ticks.map((_, index) => ticks[0]! + index * 100))
      gate.open()
      await eventually(async () =>
        expect((await app.runs.list({ jobId: 'a', state: 'succeeded' })).length).toBeGreaterThan(1),
      )
    })

    it('that are too late after a gap are recorded as skipped, and the later ones run', async () => {
      const job = defineJob({ id: 'a', every: '1s', misfireGraceTime: '8s' }, () => {})
      const first = await startApp(store.options, job)
      await first.stop()
      const gapStart = Math.floor(Date.now() / 1_000) * 1_000 - 16_000
      await database.db
        .updateTable('piko_job')
        .set({
          next_tick: database.dialect.instant(new Date(gapStart)),
          plan_at: database.dialect.instant(new Date(gapStart)),
        })
        .execute()
      const app = await startApp(store.options, job)
      const runs = await eventually(async () => {
        const all = await app.runs.list({ jobId: 'a' })
        expect(all.filter((run) => run.state === 'succeeded').length).toBeGreaterThanOrEqual(2)
        return all
      })
      const ticks = ticksOf(runs)
      expect(ticks).toEqual(ticks.map((_, index) => gapStart + index * 1_000))
      const states = runs.sort((a, b) => a.tick!.getTime() - b.tick!.getTime()).map((run) => run.reason ?? 'ran')
      expect(states.slice(0, 7)).toEqual(Array.from({ length: 7 }, () => 'misfire'))
      expect(states.lastIndexOf('misfire')).toBeLessThan(states.indexOf('ran'))
    })

    it('continue for every job after one of them was set back by hand', async () => {
      const app = await startApp(store.options, [
        defineJob({ id: 'rewound', every: '200ms' }, () => {}),
        defineJob({ id: 'other', every: '200ms' }, () => {}),
      ])
      const countOf = async (jobId: string) => (await app.runs.list({ jobId, state: 'succeeded' })).length
      await eventually(async () => expect(await countOf('rewound')).toBeGreaterThanOrEqual(2))
      const [oldest] = (await app.runs.list({ jobId: 'rewound' })).slice(-1)
      const before = [await countOf('rewound'), await countOf('other')] as const
      const instant = database.dialect.instant(oldest!.tick!)
      await database.db
        .updateTable('piko_job')
        .set({ next_tick: instant, plan_at: instant })
        .where('id', '=', 'rewound')
        .execute()
      await eventually(async () => {
        expect(await countOf('rewound')).toBeGreaterThan(before[0] + 1)
        expect(await countOf('other')).toBeGreaterThan(before[1] + 1)
      })
      const ticks = ticksOf(await app.runs.list({ jobId: 'rewound' }))
      expect(ticks).toEqual(ticks.map((_, index) => ticks[0]! + index * 200))
    })
  })

  describe('the context', () => {
    it('reports progress as events', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, (ctx) => {
          ctx.progress(1, 2, 'half')
          ctx.progress(2)
        }),
      )
      const progress = recordEvents(app, 'run.progress')
      const { id: runId } = await app.run('a', { wait: true })
      expect(progress).toEqual([
        { runId, jobId: 'a', done: 1, total: 2, message: 'half' },
        { runId, jobId: 'a', done: 2, total: undefined, message: undefined },
      ])
    })

    it('names the run, and maps items with limited concurrency', async () => {
      const inside = new Headcount()
      const app = await startApp(
        store.options,
        defineJob({ id: 'a' }, async (ctx) => {
          const results = await ctx.map(
            [3, 1, 2],
            async (ms) => {
              inside.enter()
              await new Promise((resolve) => setTimeout(resolve, ms))
              inside.leave()
              if (ms === 1) throw new Error('one')
              return ms
            },
            { concurrency: 2 },
          )
          const { runId, jobId, attempt, fence, window } = ctx
          return {
            results: results.map((one) => (one.status === 'fulfilled' ? one.value : 'failed')),
            runId,
            jobId,
            attempt,
            fence,
            window,
          }
        }),
      )
      const run = await app.run('a', { wait: true })
      expect(run.output).toEqual({ results: [3, 'failed', 2], runId: run.id, jobId: 'a', attempt: 1, fence: run.fence })
      expect(inside.most).toBe(2)
    })

    it('lets a handler request runs of other jobs and wait for them', async () => {
      const app = await startApp(store.options, [
        defineJob({ id: 'parent' }, async () => (await app.run('child', { input: 20, wait: true })).output),
        defineJob({ id: 'child' }, (ctx) => (ctx.input as number) + 1),
      ])
      expect(await app.run('parent', { wait: true })).toMatchObject({ output: 21 })
    })
  })
})
