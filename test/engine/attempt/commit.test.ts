import { sql } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobContext } from '../../../src/job/context.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { defineResource } from '../../../src/resource/define-resource.ts'
import type { SettingsOverrides } from '../../../src/settings/settings.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, nextEvent, recordEvents, startApp, storeSettings, testSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { effectsOf, emptyEffects } from '../../support/effect-table.ts'
import { rejected } from '../../support/thrown.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

const START = new Date('2025-01-01T00:00:00Z')
const END = new Date('2025-01-01T00:01:00Z')
const INSERT_INTO = 'INSERT INTO effect'
const INSERT = `${INSERT_INTO} (run_id) VALUES (?)`

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
    await emptyEffects(database)
  })

  const effects = (): Promise<unknown[]> => effectsOf(database)
  const effect = (ctx: JobContext) => ctx.commit((trx) => trx.exec(INSERT, [ctx.runId]).then(() => 'written'))

  describe('ctx.commit', () => {
    it('stores its effect, the output, the window and the end of the run together', async () => {
      const windows = { start: START, end: END }
      const job = defineJob({ id: 'sync', every: '1m', windows }, (ctx) => effect(ctx as JobContext))
      const app = await startApp(store.options, job)
      const settled = await nextEvent(app, 'run.settled')
      expect(settled).toMatchObject({ outcome: 'success', state: 'succeeded' })
      expect(await app.runs.show(settled.runId)).toMatchObject({ state: 'succeeded', output: 'written', attempt: 1 })
      expect(await app.windows.summary('sync')).toMatchObject({ watermark: END, counts: { succeeded: 1, pending: 0 } })
      expect(await effects()).toHaveLength(1)
    })

    it('writes nothing when the function throws, and the attempt is retried', async () => {
      const job = defineJob({ id: 'job', retry: { limit: 1, base: '10ms' } }, (ctx) =>
        ctx.commit(async (trx) => {
          await trx.exec(INSERT, [ctx.runId])
          if (ctx.attempt === 1) throw new Error('not yet')
        }),
      )
      const app = await startApp(store.options, job)
      expect(await app.run('job', { wait: true })).toMatchObject({ attempt: 2 })
      expect(await effects()).toHaveLength(1)
    })

    it('executes nothing that the function left behind when it failed', async () => {
      const left: Promise<unknown>[] = []
      const job = defineJob({ id: 'job', retry: { limit: 0 } }, (ctx) =>
        ctx.commit(async (trx) => {
          const slow = trx.query(store.name === 'mysql' ? 'SELECT SLEEP(0.1)' : 'SELECT 1')
          const next = slow.then(() => trx.exec(INSERT, [ctx.runId]))
          left.push(rejected(next))
          await Promise.all([next, Promise.reject(new Error('no'))])
        }),
      )
      const app = await startApp(store.options, job)
      await rejected(app.run('job', { wait: true }))
      expect(await Promise.all(left)).toMatchObject([{ code: 'USAGE' }])
      expect(await effects()).toEqual([])
    })

    it('refuses an overtaken claim and rolls back its writes', async () => {
      const gate = new Gate()
      const job = defineJob({ id: 'job' }, async (ctx) => {
        if (ctx.attempt === 1) await gate.pass()
        await effect(ctx)
      })
      const app = await startApp(store.options, job)
      const started = nextEvent(app, 'run.started')
      const { id } = await app.run('job')
      await started
      // Another claim of the same run.
      await database.db
        .updateTable('piko_run')
        .set({ claims: sql`claims + 1` })
        .where('id', '=', id)
        .execute()
      const lost = nextEvent(app, 'run.lost')
      gate.open()
      await lost
      expect(await effects()).toEqual([])
      expect(await app.runs.show(id)).toMatchObject({ state: 'running' })
    })

    it('is final, whatever the handler does after it', async () => {
      const job = defineJob({ id: 'job', retry: { limit: 3, base: '1ms' } }, async (ctx) => {
        await effect(ctx)
        throw new Error('too late')
      })
      const app = await startApp(store.options, job)
      expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded', attempt: 1 })
      expect(await effects()).toHaveLength(1)
    })

    it('returns resources as after a success, whatever the handler does after it', async () => {
      const ends: string[] = []
      const transaction = defineResource({
        name: 'transaction',
        acquire: async function* () {
          try {
            yield 'open'
            ends.push('commit')
          } catch (error) {
            ends.push('rollback')
            throw error
          }
        },
      })
      const work = (id: string, commits: boolean) =>
        defineJob({ id, resources: { transaction } }, async (ctx) => {
          if (commits) await effect(ctx)
          throw new Error('too late')
        })
      const app = await startApp(store.options, [work('commits', true), work('fails', false)])
      await app.run('commits', { wait: true })
      await rejected(app.run('fails', { wait: true }))
      expect(ends).toEqual(['commit', 'rollback'])
    })

    it('is awaited if the handler does not await it', async () => {
      let end: unknown
      const job = defineJob({ id: 'job' }, (ctx) => {
        end = effect(ctx)
        return Promise.resolve()
      })
      const app = await startApp(store.options, job)
      expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded', output: 'written' })
      expect(await end).toBe('written')
      expect(await effects()).toHaveLength(1)
    })

    it('writes nothing if the process is killed before the commit, and is repeated once', async () => {
      const lease = store.name === 'sqlite' ? '60s' : '2s'
      const child = new WorkerProcess({ mode: 'commit', settings: testSettings(store.options, { piko: { lease } }) })
      await child.told('started')
      const [id = 0] = await storeOn(database).runs.enqueue([{ jobId: 'work', kind: 'manual', priority: 0 }])
      await child.told('written')
      await child.kill()
      expect(await effects()).toEqual([])
      const app = await startApp(
        store.options,
        defineJob({ id: 'work' }, (ctx) => effect(ctx)),
      )
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1, output: 'written' })
      expect(await effects()).toEqual([{ run_id: id }])
    })

    it('is refused a second time', async () => {
      let second: unknown
      const job = defineJob({ id: 'job' }, async (ctx) => {
        await effect(ctx)
        second = await rejected(ctx.commit(() => Promise.resolve()))
      })
      const app = await startApp(store.options, job)
      await app.run('job', { wait: true })
      // The commit ends the run a moment before the handler continues.
      await eventually(() => expect(second).toMatchObject({ code: 'USAGE' }))
    })

    it('writes nothing after the run was ended', async () => {
      const job = defineJob({ id: 'job', timeout: '100ms' }, (ctx) =>
        ctx.commit(async (trx) => {
          await trx.exec(INSERT, [ctx.runId])
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
        }),
      )
      const app = await startApp(store.options, job)
      await rejected(app.run('job', { wait: true }))
      expect(await effects()).toEqual([])
    })

    it('refuses an output that cannot be stored, and writes nothing', async () => {
      const job = defineJob({ id: 'job' }, (ctx) =>
        ctx.commit(async (trx) => {
          await trx.exec(INSERT, [ctx.runId])
          return 'x'.repeat(2_000_000)
        }),
      )
      const app = await startApp(store.options, job)
      expect(await rejected(app.run('job', { wait: true }))).toMatchObject({ code: 'RUN_FAILED' })
      expect(await effects()).toEqual([])
    })
  })

  if (store.name === 'sqlite') return

  it('runs the function again after a deadlock', async () => {
    await database.sql.exec('CREATE TABLE account (id INT PRIMARY KEY, touched INT NOT NULL)')
    await database.sql.exec('INSERT INTO account VALUES (1, 0), (2, 0)')
    const holdsFirst = new Gate()
    const otherHolds = new Gate()
    let calls = 0
    const job = defineJob({ id: 'job' }, (ctx) =>
      ctx.commit(async (trx) => {
        calls += 1
        await trx.exec(INSERT, [ctx.runId])
        await trx.exec('UPDATE account SET touched = touched + 1 WHERE id = 1')
        holdsFirst.open()
        await otherHolds.pass()
        await trx.exec('UPDATE account SET touched = touched + 1 WHERE id = 2')
      }),
    )
    const app = await startApp(store.options, job)
    const done = app.run('job', { wait: true })
    await holdsFirst.pass()
    await database.sql.transaction(async (trx) => {
      await trx.exec('UPDATE account SET touched = touched + 1 WHERE id = 2')
      // The server rolls back the transaction that has changed less.
      for (let index = 0; index < 50; index++) await trx.exec('INSERT INTO account VALUES (?, 0)', [10 + index])
      otherHolds.open()
      await trx.exec('UPDATE account SET touched = touched + 1 WHERE id = 1')
    })
    expect(await done).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(calls).toBe(2)
    expect(await effects()).toHaveLength(1)
    expect(await database.sql.query('SELECT touched FROM account WHERE id <= 2')).toEqual([
      { touched: 2 },
      { touched: 2 },
    ])
  })

  describe('a commit on a bad network', () => {
    async function startProxy(): Promise<{ proxy: TcpProxy; settings: SettingsOverrides }> {
      const url = new URL((storeSettings(store.options).mysql as { dsn: string }).dsn)
      const proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) })
      url.port = String(proxy.port)
      return { proxy, settings: { mysql: { dsn: url.href } } }
    }

    /** Loses a message of the first commit; the handler learns how it ended. */
    const losing = (lose: () => Promise<void>) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const abort = Promise.withResolvers<void>()
      const told: unknown[] = []
      const job = defineJob({ id: 'job', timeout: '500ms', retry: { limit: 3, base: '10ms' } }, async (ctx) => {
        ctx.signal.addEventListener('abort', () => abort.resolve())
        await ctx
          .commit(async (trx) => {
            if (ctx.attempt === 1) void lose().then(resolve)
            await trx.exec(INSERT, [ctx.runId])
            return ctx.attempt
          })
          .then(
            (attempt) => told.push(attempt),
            (error: unknown) => {
              told.push(error)
              throw error
            },
          )
      })
      return { job, told, lost: promise, aborted: abort.promise }
    }

    it('with a lost answer is found to have succeeded', async () => {
      const { proxy, settings } = await startProxy()
      const { job, told, lost } = losing(() => proxy.loseAnswerTo('commit', INSERT_INTO))
      const app = await startApp(store.options, job, { settings })
      const settled = nextEvent(app, 'run.settled')
      const { id } = await app.run('job')
      await lost
      expect(await settled).toMatchObject({ runId: id, state: 'succeeded', attempt: 1 })
      expect(told).toEqual([1])
      expect(await effects()).toHaveLength(1)
      await app.stop()
      await proxy.stop()
    })

    it('that never arrives is repeated', async () => {
      const { proxy, settings } = await startProxy()
      const { job, told, lost } = losing(() => proxy.loseRequest('commit', INSERT_INTO))
      const app = await startApp(store.options, job, { settings })
      const done = nextEvent(app, 'run.settled', ({ state }) => state !== 'queued')
      await app.run('job')
      await lost
      expect(await done).toMatchObject({ state: 'succeeded', attempt: 2 })
      expect(told).toEqual([expect.any(Error), 2])
      expect(await effects()).toHaveLength(1)
      await app.stop()
      await proxy.stop()
    })

    it('with a lost answer is checked until the database is back, beyond timeout and grace time', async () => {
      const { proxy, settings } = await startProxy()
      const { job, told, lost, aborted } = losing(() => proxy.loseAnswerTo('commit', INSERT_INTO))
      const app = await startApp(store.options, job, { settings, graceMs: 50 })
      const falseAlarms = [recordEvents(app, 'run.lost'), recordEvents(app, 'runs.recovered')]
      const settled = nextEvent(app, 'run.settled')
      const { id } = await app.run('job')
      await lost
      proxy.cut()
      await aborted
      // The grace time is over, because every loop has failed again since then.
      const failed = recordEvents(app, 'loop.failed')
      await eventually(() => expect(failed.length).toBeGreaterThan(3))
      proxy.heal()
      expect(await settled).toMatchObject({ runId: id, outcome: 'success', state: 'succeeded', attempt: 1 })
      expect(told).toEqual([1])
      expect(falseAlarms).toEqual([[], []])
      expect(await effects()).toHaveLength(1)
      await app.stop()
      await proxy.stop()
    })

    it('is not awaited when the process stops', async () => {
      const { proxy, settings } = await startProxy()
      const { job, lost } = losing(() => proxy.loseAnswerTo('commit', INSERT_INTO))
      const app = await startApp(store.options, job, {
        settings: { ...settings, piko: { shutdown_timeout: '1s' } },
        stopMayFail: true,
      })
      const { id } = await app.run('job')
      await lost
      proxy.cut()
      await app.stop().catch(() => {})
      await proxy.stop()
      expect(await storeOn(database).runs.find(id)).toMatchObject({ state: 'succeeded' })
      expect(await effects()).toHaveLength(1)
    })
  })
})
