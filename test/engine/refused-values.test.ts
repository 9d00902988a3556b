import { sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { PikoError } from '../../src/errors.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { JobDefinition } from '../../src/job/spec.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, makeApp, nextEvent, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { REFUSAL, refuseRows } from '../support/refusing.ts'

const EVERY_7H = { kind: 'every', everyMs: 25_200_000, anchor: '1970-01-01T00:00:00.000Z' } as const

describe('a value that the database refuses', () => {
  describeEachStore((store) => {
    async function refusing(...args: [table: string, on: 'INSERT' | 'UPDATE', condition: string]): Promise<Database> {
      await store.empty()
      const database = await store.open()
      const allow = await refuseRows(database, ...args)
      onTestFinished(allow)
      return database
    }

    it('fails only its run: the ends of all others are stored', async () => {
      await refusing('piko_run', 'UPDATE', "NEW.output LIKE '%poison%'")
      const echo = defineJob({ id: 'echo' }, ({ input }) => Promise.resolve(input))
      const app = await startApp(store.options, [echo])
      const inputs = Array.from({ length: 60 }, (_, index) => (index % 17 === 3 ? `poison ${index}` : `fine ${index}`))
      const ids = await app.enqueueMany(
        'echo',
        inputs.map((input) => ({ input })),
      )
      const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
      expect(runs.map(({ state }) => state)).toEqual(
        inputs.map((input) => (input.startsWith('poison') ? 'failed' : 'succeeded')),
      )
      for (const { error, input } of runs) {
        if (!String(input).startsWith('poison')) continue
        expect(error).toMatchObject({ code: 'RUN_UNSTORABLE' })
        expect(error?.message).toContain('its outcome "succeeded" could not be stored')
        expect(error?.message).toContain(REFUSAL)
      }
      await expect(app.run('echo', { input: 'later', wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    })

    it('reports to listeners of the run what its row says', async () => {
      await refusing('piko_run', 'UPDATE', "NEW.output LIKE '%poison%'")
      const app = await startApp(store.options, [defineJob({ id: 'bad' }, () => Promise.resolve('poison'))])
      const settled = nextEvent(app, 'run.settled')
      await app.enqueue('bad')
      expect(await settled).toMatchObject({ outcome: 'failure', state: 'failed', error: { code: 'RUN_UNSTORABLE' } })
    })

    it('is reported with the number of its run if even the failure can not be stored', async () => {
      await refusing('piko_run', 'UPDATE', "NEW.job_id = 'cursed' AND NEW.finished_at IS NOT NULL")
      const noop = async (): Promise<void> => {}
      const app = await startApp(store.options, [defineJob({ id: 'cursed' }, noop), defineJob({ id: 'fine' }, noop)])
      const failures = recordEvents(app, 'loop.failed')
      const lost = nextEvent(app, 'run.lost')
      const cursed = await app.enqueue('cursed')
      const fine = await app.enqueueMany(
        'fine',
        Array.from({ length: 20 }, () => ({})),
      )
      const runs = await Promise.all(fine.map((id) => app.waitFor(id)))
      expect(runs.every(({ state }) => state === 'succeeded')).toBe(true)
      expect(await lost).toMatchObject({ runId: cursed })
      await eventually(() =>
        expect(failures.map(({ error }) => error.message).join()).toContain(
          `the outcome of run ${cursed} of job "cursed" could not be stored`,
        ),
      )
      await expect(app.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    })

    it('of a retry that another version of the package set too far ahead fails only its run', async () => {
      await store.empty()
      const broken = defineJob({ id: 'broken', retry: { limit: 3 } }, () => Promise.reject(new Error('no luck')))
      const retry = { ...broken.policy.retry, baseMs: 8.64e15, maxMs: 8.64e15, jitter: false }
      const far: JobDefinition = { ...broken, policy: { ...broken.policy, retry } }
      const app = await startApp(store.options, [far, defineJob({ id: 'fine' }, async () => {})])
      const run = await app.waitFor(await app.enqueue('broken'))
      expect(run).toMatchObject({ state: 'failed', error: { code: 'RUN_UNSTORABLE' } })
      expect(run.error?.message).toContain('its next attempt could not be stored')
      await expect(app.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    })

    it('of a rate delays the runs of that rate, and no other claim', async () => {
      await refusing('piko_rate', 'INSERT', "NEW.job_id = 'cursed'")
      const jobs = ['cursed', 'rated'].map((id) => defineJob({ id, rate: '1000/s' }, async () => {}))
      const app = makeApp(store.options, [...jobs, defineJob({ id: 'plain' }, async () => {})])
      const failures = recordEvents(app, 'loop.failed')
      await app.start()
      const cursed = await app.enqueue('cursed')
      for (const id of ['rated', 'plain'])
        await expect(app.run(id, { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
      await eventually(() => expect(failures.map(({ error }) => error)).toMatchObject([{ code: 'RATE_UNSTORABLE' }]))
      expect(failures[0]?.error.message).toContain('the rate of job "cursed"')
      expect(await app.runs.list({ jobId: 'cursed' })).toMatchObject([{ id: cursed, state: 'queued' }])
    })

    it('of a log line leaves out only that line', async () => {
      await refusing('piko_run_log', 'INSERT', "NEW.message LIKE '%poison%'")
      const talker = defineJob({ id: 'talker' }, async (ctx) => {
        for (const text of ['one', 'poison', 'two', 'poison too', 'three']) ctx.log.info(text)
        await Promise.resolve()
      })
      const app = await startApp(store.options, [talker])
      const failures = recordEvents(app, 'loop.failed')
      const { id } = await app.run('talker', { wait: true })
      await eventually(async () => {
        const lines = await app.runs.logs(id)
        expect(lines.map(({ message }) => message)).toEqual(['one', 'two', 'three'])
      })
      await eventually(() =>
        expect(failures.map(({ error }) => error.message)).toEqual([
          expect.stringContaining(`a log line of run ${id} can't be stored`),
          expect.stringContaining('poison too'),
        ]),
      )
    })

    it('of log lines that remain when the node stops is reported with their number, their runs and the reason', async () => {
      await store.empty()
      const database = await store.open()
      const talker = defineJob({ id: 'talker' }, (ctx) => {
        for (const text of ['one', 'two', 'three']) ctx.log.info(text)
      })
      const app = await startApp(store.options, [talker])
      const failures = recordEvents(app, 'loop.failed')
      await sql.raw('ALTER TABLE piko_run_log RENAME TO piko_run_log_away').execute(database.db)
      onTestFinished(async () => {
        await sql.raw('ALTER TABLE piko_run_log_away RENAME TO piko_run_log').execute(database.db)
      })
      const { id } = await app.run('talker', { wait: true })
      await app.stop()
      const lost = failures
        .map(({ error }) => error)
        .filter((error) => 'code' in error && error.code === 'RUN_LOGS_LOST')
      expect(lost).toMatchObject([{ details: { lines: 3, runIds: [id] } }])
      expect(lost[0]?.message).toMatch(new RegExp(`3 log lines of run ${id} are lost: .*piko_run_log`))
    })

    it('of a plan leaves that job unchanged: the others are planned, and the reason is reported once', async () => {
      await refusing('piko_run', 'INSERT', "NEW.job_id = 'cursed'")
      const tick = (id: string): JobDefinition => defineJob({ id, every: '200ms' }, async () => {})
      const app = makeApp(store.options, [tick('cursed'), tick('one'), tick('other')])
      const failures = recordEvents(app, 'loop.failed')
      const planned = recordEvents(app, 'runs.planned')
      await app.start()
      await eventually(() => {
        for (const id of ['one', 'other'])
          expect(planned.filter(({ jobId }) => jobId === id).length).toBeGreaterThanOrEqual(5)
      })
      expect(planned.some(({ jobId }) => jobId === 'cursed')).toBe(false)
      await eventually(() =>
        expect(failures.map(({ error }) => error)).toMatchObject([
          { code: 'PLAN_REFUSED', details: { jobId: 'cursed' } },
        ]),
      )
    })

    it('of a new run fails only that call, and enqueueMany as a whole, with a clear error', async () => {
      await refusing('piko_run', 'INSERT', "NEW.input LIKE '%poison%'")
      const app = await startApp(store.options, [defineJob({ id: 'echo' }, async () => {})])
      const inputs = ['one', 'poison', 'two', 'three', 'poison', 'four']
      const calls = await Promise.allSettled(inputs.map((input) => app.enqueue('echo', { input })))
      expect(calls.map(({ status }) => status)).toEqual(
        inputs.map((input) => (input === 'poison' ? 'rejected' : 'fulfilled')),
      )
      for (const call of calls)
        if (call.status === 'rejected') expect(call.reason).toMatchObject({ code: 'RUN_UNSTORABLE' })
      const many = app.enqueueMany(
        'echo',
        inputs.map((input) => ({ input })),
      )
      await expect(many).rejects.toMatchObject({
        code: 'RUN_UNSTORABLE',
        message: expect.stringContaining('none of the 6 runs of job "echo" was stored') as string,
      })
      const runs = await app.runs.list({ jobId: 'echo' })
      expect(runs).toHaveLength(4)
    })

    it('of a run with an idempotency key, of a window, or in a user’s transaction is refused just as clearly', async () => {
      await refusing('piko_run', 'INSERT', "NEW.input LIKE '%poison%'")
      const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-02T00:00:00Z', parallel: 50 } as const
      const jobs = [
        defineJob({ id: 'echo' }, async () => {}),
        defineJob({ id: 'hours', every: '1h', windows }, async () => {}),
      ]
      const app = await startApp(store.options, jobs)
      await eventually(async () => expect((await app.windows.summary('hours')).counts.succeeded).toBe(24))
      const refused = {
        code: 'RUN_UNSTORABLE',
        message: expect.stringMatching(
          /run(s)? of job "(echo|hours)" (can't be|was) stored: .*refused by a trigger/,
        ) as string,
      }
      const input = 'poison'
      await expect(app.enqueue('echo', { input, idempotencyKey: 'a' })).rejects.toMatchObject(refused)
      await expect(app.run('echo', { input, idempotencyKey: { key: 'a' } })).rejects.toMatchObject(refused)
      const many = app.enqueueMany('echo', [{ idempotencyKey: 'b' }, { input, idempotencyKey: 'c' }])
      await expect(many).rejects.toMatchObject(refused)
      await expect(app.run('hours', { input, window: windows.start })).rejects.toMatchObject(refused)
      for (const idempotencyKey of [undefined, 'd']) {
        const item = { input, ...(idempotencyKey !== undefined && { idempotencyKey }) }
        const one = app.sql.transaction((trx) => app.enqueue('echo', { ...item, trx }))
        await expect(one).rejects.toMatchObject(refused)
        const some = app.sql.transaction((trx) => app.enqueueMany('echo', [{ input: 'fine' }, item], { trx }))
        await expect(some).rejects.toMatchObject(refused)
      }
      expect(await app.runs.list({ jobId: 'echo' })).toEqual([])
      expect((await app.windows.summary('hours')).counts).toMatchObject({ succeeded: 24, pending: 0 })
      // The keys of refused runs are free.
      await app.enqueue('echo', { input: 'fine', idempotencyKey: 'a' })
    })

    it('of windows of a backfill fails only those windows', async () => {
      await refusing(
        'piko_run',
        'INSERT',
        "NEW.window_start LIKE '2025-01-0__05:%' OR NEW.window_start LIKE '2025-01-04_2%'",
      )
      const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-07T00:00:00Z', catchUp: 'none' } as const
      const app = await startApp(store.options, [defineJob({ id: 'hours', every: '1h', windows }, async () => {})])
      const failures = recordEvents(app, 'loop.failed')
      const backfill = await app.backfills.create('hours', { from: windows.start, to: windows.end, parallel: 50 })
      expect(await backfill.wait()).toMatchObject({ state: 'failed', succeeded: 134, failed: 10, done: 144 })
      await eventually(() => expect(failures.map(({ error }) => error)).toHaveLength(10))
      expect(failures[0]?.error).toMatchObject({
        code: 'RUN_UNSTORABLE',
        details: { start: '2025-01-01T05:00:00.000Z' },
      })
      const failed = await app.windows.list('hours', { state: 'failed' })
      expect(failed.every(({ runId }) => runId === undefined)).toBe(true)
      expect(failed.map(({ start }) => start.toISOString())).toContain('2025-01-04T23:00:00.000Z')
      // Also newest first, for windows that are already in the ledger.
      const again = await app.backfills.create('hours', {
        ...{ from: windows.start, to: windows.end, only: 'all', order: 'newest', parallel: 50 },
      })
      expect(await again.wait()).toMatchObject({ state: 'failed', succeeded: 134, failed: 10 })
    })

    it('of dependents fails only those windows: the others of their batch run', async () => {
      await refusing('piko_run', 'INSERT', "NEW.job_id = 'down' AND NEW.window_start LIKE '2025-01-01__3:%'")
      const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-02T00:00:00Z', parallel: 50 } as const
      const up = defineJob({ id: 'up', every: '1h', windows }, async () => {})
      const app = makeApp(store.options, [
        up,
        ...['down', 'other'].map((id) => defineJob({ id, every: '1h', windows, dependsOn: [up] }, async () => {})),
      ])
      const failures = recordEvents(app, 'loop.failed')
      await app.start()
      await eventually(async () => {
        expect((await app.windows.summary('down')).counts).toMatchObject({ succeeded: 21, failed: 3, waiting: 0 })
        expect((await app.windows.summary('other')).counts).toMatchObject({ succeeded: 24 })
        // The windows fail in the database before their node reports it.
        expect(failures.map(({ error }) => error)).toMatchObject(
          Array.from({ length: 3 }, () => ({ code: 'RUN_UNSTORABLE', details: { jobId: 'down' } })),
        )
      })
    })

    it('of a window that can not even fail delays its backfill and its job, and no others', async () => {
      await refusing('piko_window', 'INSERT', "NEW.job_id = 'cursed' AND NEW.start_at LIKE '2025-01-01_05:%'")
      const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-02T00:00:00Z', catchUp: 'none' } as const
      const jobs = ['cursed', 'fine'].map((id) => defineJob({ id, every: '1h', windows }, async () => {}))
      const app = await startApp(store.options, jobs)
      const failures = recordEvents(app, 'loop.failed')
      const cursed = await app.backfills.create('cursed', { from: windows.start, to: windows.end, parallel: 50 })
      const fine = await app.backfills.create('fine', { from: windows.start, to: windows.end, parallel: 50 })
      expect(await fine.wait()).toMatchObject({ state: 'succeeded', succeeded: 24 })
      await eventually(() =>
        expect(failures.map(({ error }) => error.message).join()).toContain(
          `backfill ${cursed.id} of job "cursed" can't continue`,
        ),
      )
      await eventually(async () => expect(await cursed.status()).toMatchObject({ state: 'running', succeeded: 5 }))
    })

    it('of a run of a dead node is reported, and all others of that node are returned', async () => {
      const database = await refusing('piko_run', 'UPDATE', "NEW.job_id = 'cursed' AND NEW.state = 'queued'")
      const jobs = ['cursed', 'fine'].map((id) => defineJob({ id }, async () => {}))
      const asking = makeApp(store.options, jobs, { execute: false })
      await asking.start()
      const cursed = await asking.enqueue('cursed')
      const fine = await asking.enqueueMany(
        'fine',
        Array.from({ length: 9 }, () => ({})),
      )
      await database.sql.exec(
        `UPDATE piko_run SET state = 'running', node_id = 'gone', claims = 1, attempt = 1, started_at = run_at`,
      )
      const app = makeApp(store.options, jobs)
      const failures = recordEvents(app, 'loop.failed')
      await app.start()
      for (const id of fine) expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
      await expect(app.runs.show(cursed)).resolves.toMatchObject({ state: 'running', nodeId: 'gone' })
      await eventually(() =>
        expect(failures.map(({ loop, error }) => ({ loop, error }))).toMatchObject([
          { loop: 'recovery', error: { code: 'RUN_UNSTORABLE', details: { runId: cursed } } },
        ]),
      )
      expect(failures[0]?.error.message).toMatch(new RegExp(`^run ${cursed}, whose node is gone.*${REFUSAL}`))
    })

    it('of very many runs of dead nodes does not keep the runs after them, and is reported once for many', async () => {
      await store.empty()
      const database = await refusing('piko_run', 'UPDATE', "NEW.job_id = 'cursed' AND NEW.state = 'queued'")
      const jobs = ['cursed', 'fine'].map((id) => defineJob({ id }, async () => {}))
      const asking = makeApp(store.options, jobs, { execute: false })
      await asking.start()
      await asking.enqueueMany(
        'cursed',
        Array.from({ length: 1_700 }, () => ({})),
      )
      const fine = await asking.enqueue('fine')
      await database.sql.exec(
        `UPDATE piko_run SET state = 'running', node_id = 'gone', claims = 1, attempt = 1, started_at = run_at`,
      )
      const app = makeApp(store.options, jobs)
      const failures = recordEvents(app, 'loop.failed')
      await app.start()
      await eventually(async () => expect(await app.runs.show(fine)).toMatchObject({ state: 'succeeded' }))
      // The other process may have returned the run, so this one may not have seen all of them yet.
      const told = await eventually(() => {
        const runIds = failures.map(({ error }) => (error as PikoError).details['runIds'])
        expect(runIds.flat()).toHaveLength(1_700)
        return runIds
      })
      expect(told.length).toBeLessThan(10)
    })

    it('of one of many runs leaves out that run in a cancel, a replay and a prune, and is clearly reported', async () => {
      await store.empty()
      const database = await store.open()
      const job = defineJob({ id: 'many', retry: { limit: 0 } }, () => Promise.reject(new Error('no luck')))
      const app = makeApp(store.options, [job], { execute: false })
      await app.start()
      const ids = await app.enqueueMany(
        'many',
        Array.from({ length: 7 }, () => ({})),
      )
      const bad = ids[3] as number
      const refused = async (state: string, work: () => Promise<unknown>): Promise<void> => {
        const allow = await refuseRows(database, 'piko_run', 'UPDATE', `OLD.id = ${bad} AND NEW.state = '${state}'`)
        await expect(work()).rejects.toMatchObject({
          code: 'CHANGE_REFUSED',
          details: { runIds: [bad] },
          message: expect.stringMatching(new RegExp(`^run ${bad} can't be .*${REFUSAL}.*piko_run`)) as string,
        })
        await allow()
      }
      const count = async (state: 'cancelled' | 'queued'): Promise<number> => (await app.runs.list({ state })).length
      await refused('cancelled', () => app.runs.cancel({ jobId: 'many' }))
      expect([await count('cancelled'), await count('queued')]).toEqual([6, 1])
      await refused('cancelled', () => app.runs.cancel(bad))
      await app.runs.cancel(bad)
      await refused('queued', () => app.runs.replay({ state: 'cancelled' }))
      expect([await count('cancelled'), await count('queued')]).toEqual([1, 6])
      await app.runs.cancel({ jobId: 'many' })
      const trigger = await refuseRows(database, 'piko_run', 'DELETE', `OLD.id = ${bad}`)
      await expect(app.runs.prune({ olderThan: '0ms' })).rejects.toMatchObject({ code: 'CHANGE_REFUSED' })
      await trigger()
      expect((await app.runs.list({})).map(({ id }) => id)).toEqual([bad])
    })

    it('of a lock is clearly reported when it is taken, renewed or given back, and no other lock is lost', async () => {
      const database = await store.open()
      const app = makeApp(store.options, [defineJob({ id: 'idle' }, async () => {})], { execute: false })
      await app.start()
      const failures = recordEvents(app, 'loop.failed')
      const hold = (name: string) => app.locks.acquire(name, { ttl: '1s', wait: '20s' })
      const [cursed, fine] = [await hold('cursed'), await hold('fine')]
      const clearly = { code: 'CHANGE_REFUSED', message: expect.stringMatching(`lock "cursed".*${REFUSAL}`) as string }
      const allow = await refuseRows(database, 'piko_lock', 'UPDATE', "NEW.name = 'user:cursed'")
      await new Promise((resolve) => cursed.lost.addEventListener('abort', resolve, { once: true }))
      await eventually(() =>
        expect(failures.map(({ error }) => error)).toContainEqual(expect.objectContaining(clearly)),
      )
      expect(fine.lost.aborted).toBe(false)
      await expect(hold('cursed')).rejects.toMatchObject(clearly)
      await allow()
      const again = await hold('cursed')
      const allowAgain = await refuseRows(database, 'piko_lock', 'UPDATE', 'NEW.owner IS NULL')
      await expect(again.release()).rejects.toMatchObject(clearly)
      await allowAgain()
      await fine.release()
    })

    it('of a config, a pause, a schedule or a backfill is clearly reported', async () => {
      await store.empty()
      const database = await store.open()
      const windows = { start: '2026-01-01T00:00:00Z', catchUp: 'none' } as const
      const app = makeApp(store.options, [defineJob({ id: 'job', every: '1d', windows }, async () => {})])
      await app.start()
      const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-03T00:00:00Z' }
      const attempts: [table: string, on: 'INSERT' | 'UPDATE', condition: string, () => Promise<unknown>][] = [
        ['piko_job_config', 'INSERT', "NEW.job_id = 'job'", () => app.configs.set('job', {})],
        ['piko_job', 'UPDATE', 'NEW.is_paused = 1', () => app.jobs.pause('job')],
        ['piko_job', 'UPDATE', "NEW.schedule LIKE '%25200000%'", () => app.schedules.set('job', EVERY_7H)],
        ['piko_backfill', 'INSERT', "NEW.job_id = 'job'", () => app.backfills.create('job', range)],
      ]
      for (const [table, on, condition, ask] of attempts) {
        const allow = await refuseRows(database, table, on, condition)
        await expect(ask()).rejects.toMatchObject({
          code: 'CHANGE_REFUSED',
          message: expect.stringMatching(new RegExp(`job "job" can't be stored.*${REFUSAL}.*${table}`)) as string,
        })
        await allow()
      }
    })

    it('of an end keeps the run from being executed again while its node lives', async () => {
      const { db } = await refusing('piko_run', 'UPDATE', "NEW.job_id = 'cursed' AND NEW.finished_at IS NOT NULL")
      let executed = 0
      const app = makeApp(store.options, [defineJob({ id: 'cursed' }, async () => void executed++)], {
        settings: { piko: { lease: '2s' } },
      })
      const lost = nextEvent(app, 'run.lost')
      await app.start()
      const id = await app.enqueue('cursed')
      await lost
      const expiry = async (): Promise<number> => {
        const { expires_at } = await db.selectFrom('piko_node').select('expires_at').executeTakeFirstOrThrow()
        return new Date(expires_at).getTime()
      }
      const before = await expiry()
      // By then the recovery has checked several times.
      await eventually(async () => expect(await expiry()).toBeGreaterThan(before + 4_000))
      expect(executed).toBe(1)
      expect(await app.runs.show(id)).toMatchObject({ state: 'running', attempt: 1 })
    })
  })
})
