import { sql } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { type JobContext } from '../../src/job/context.ts'
import { type Database } from '../../src/store/database.ts'
import { eventually, Gate, nextEvent, startApp, storeSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { rejected } from '../support/thrown.ts'

const START = new Date('2025-01-01T00:00:00Z')
const END = new Date('2025-01-01T00:01:00Z')
const INSERT = 'INSERT INTO effect (run_id) VALUES (?)'

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
    await database.sql.exec('CREATE TABLE IF NOT EXISTS effect (run_id BIGINT NOT NULL)')
    await database.sql.exec('DELETE FROM effect')
  })

  const effects = (): Promise<unknown[]> => database.sql.query('SELECT run_id FROM effect ORDER BY run_id')
  const effect = (ctx: JobContext) => ctx.commit((trx) => trx.exec(INSERT, [ctx.runId]).then(() => 'written'))

  describe('ctx.commit', () => {
    it('ends the run with its effect, its output and its window', async () => {
      const windows = { start: START, end: END }
      const job = defineJob({ id: 'sync', every: '1m', windows }, (ctx) => effect(ctx as JobContext))
      const app = await startApp(store.options, job)
      const settled = await nextEvent(app, 'run.settled')
      expect(settled).toMatchObject({ outcome: 'success', state: 'succeeded' })
      expect(await app.findRun(settled.runId)).toMatchObject({ state: 'succeeded', output: 'written', attempt: 1 })
      expect(await app.ledger('sync')).toMatchObject({ watermark: END, counts: { succeeded: 1, pending: 0 } })
      expect(await effects()).toHaveLength(1)
    })

    it('writes nothing when the function throws, and the attempt is tried again', async () => {
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

    it('refuses a claim that was overtaken, and rolls its writes back', async () => {
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
      expect(await app.findRun(id)).toMatchObject({ state: 'running' })
    })

    it('stands whatever the handler does after it', async () => {
      const job = defineJob({ id: 'job', retry: { limit: 3, base: '1ms' } }, async (ctx) => {
        await effect(ctx)
        throw new Error('too late')
      })
      const app = await startApp(store.options, job)
      expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded', attempt: 1 })
      expect(await effects()).toHaveLength(1)
    })

    it('is refused a second time', async () => {
      let second: unknown
      const job = defineJob({ id: 'job' }, async (ctx) => {
        await effect(ctx)
        second = await rejected(ctx.commit(() => Promise.resolve()))
      })
      const app = await startApp(store.options, job)
      await app.run('job', { wait: true })
      expect(second).toMatchObject({ code: 'USAGE' })
    })

    it('writes nothing once the run has been ended', async () => {
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

  describe('an ambiguous commit', () => {
    const dsn = (): string => (storeSettings(store.options).mysql as { dsn: string }).dsn

    it('a commit whose answer is lost is found out to be one', async () => {
      const url = new URL(dsn())
      const proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) })
      url.port = String(proxy.port)
      let answerLost: Promise<void> | undefined
      const job = defineJob({ id: 'job', retry: { limit: 3, base: '10ms' } }, async (ctx) => {
        await ctx.commit(async (trx) => {
          await trx.exec(INSERT, [ctx.runId])
          answerLost = proxy.loseAnswerTo('commit')
        })
        return 'told that it was committed'
      })
      const app = await startApp(store.options, job, { settings: { mysql: { dsn: url.href } } })
      const settled = nextEvent(app, 'run.settled')
      const { id } = await app.run('job')
      await eventually(() => expect(answerLost).toBeDefined())
      await answerLost
      expect(await settled).toMatchObject({ runId: id, state: 'succeeded', attempt: 1 })
      expect(await effects()).toHaveLength(1)
      await app.stop()
      await proxy.stop()
    })
  })
})
