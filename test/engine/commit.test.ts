import { createConnection } from 'mysql2'
import { createConnection as createPromiseConnection } from 'mysql2/promise'
import { Kysely, MysqlDialect, sql } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { type JobContext } from '../../src/job/context.ts'
import { type Database } from '../../src/store/database.ts'
import { eventually, Gate, nextEvent, recordEvents, startApp, storeSettings } from '../support/app.ts'
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

  describe('app.enqueue', () => {
    it('stores a run and tells its id', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, (ctx) => ctx.input),
      )
      const id = await app.enqueue('job', { input: 7 })
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', output: 7 })
      expect(await rejected(app.enqueue('other'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    })

    it('is a part of the transaction that it is given', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, () => {}),
      )
      const started = recordEvents(app, 'run.started')
      const committed: number[] = []
      for (let index = 0; index < 40; index++) {
        const enqueued = app.sql.transaction(async (trx) => {
          const id = await app.enqueue('job', { trx })
          await trx.exec(INSERT, [id])
          if (index % 2 === 1) throw new Error('rolled back')
          committed.push(id)
        })
        await (index % 2 === 1 ? enqueued.catch(() => {}) : enqueued)
      }
      await eventually(async () => expect(await app.runs({ state: 'succeeded' })).toHaveLength(20))
      expect(started.map(({ runId }) => runId).sort((a, b) => a - b)).toEqual(committed)
      expect(await effects()).toEqual(committed.map((run_id) => ({ run_id })))
    })

    it('works inside of ctx.commit', async () => {
      const next = defineJob({ id: 'next' }, (ctx) => ctx.input)
      const first = defineJob({ id: 'first' }, (ctx) =>
        ctx.commit((trx) => app.enqueue('next', { input: ctx.runId, trx })),
      )
      const app = await startApp(store.options, [first, next])
      const { id, output } = await app.run('first', { wait: true })
      expect(await app.waitFor(output as number)).toMatchObject({ jobId: 'next', output: id })
    })

    it('refuses what is no transaction', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, () => {}),
      )
      expect(await rejected(app.enqueue('job', { trx: {} as never }))).toMatchObject({ code: 'USAGE' })
      expect(await app.runs()).toEqual([])
    })
  })

  if (store.name === 'sqlite') {
    it('requests that would wait for their own transaction are refused', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, () => {}),
      )
      for (const request of [() => app.run('job'), () => app.enqueue('job')] as (() => Promise<unknown>)[]) {
        expect(await rejected(app.sql.transaction(() => request()))).toMatchObject({ code: 'USAGE' })
      }
    })
    return
  }

  describe("the transactions of the user's own libraries", () => {
    const dsn = (): string => (storeSettings(store.options).mysql as { dsn: string }).dsn

    it(
      '10,000 requests in transactions of mysql2 and Kysely, half of them rolled back',
      { timeout: 120_000 },
      async () => {
        const app = await startApp(
          store.options,
          defineJob({ id: 'job' }, () => {}),
          { execute: false },
        )
        const committed = new Set<number>()
        const connection = await createPromiseConnection(dsn())
        const kysely = new Kysely<unknown>({ dialect: new MysqlDialect({ pool: poolOfOne(dsn()) }) })
        const lane = async (isMysql2: boolean): Promise<void> => {
          for (let index = 0; index < 500; index++) {
            const isCommitted = index % 2 === 0
            const ids: number[] = []
            if (isMysql2) {
              await connection.beginTransaction()
              for (let each = 0; each < 10; each++) ids.push(await app.enqueue('job', { trx: connection }))
              await (isCommitted ? connection.commit() : connection.rollback())
            } else {
              const done = kysely.transaction().execute(async (trx) => {
                for (let each = 0; each < 10; each++) ids.push(await app.enqueue('job', { trx }))
                if (!isCommitted) throw new Error('rolled back')
              })
              await (isCommitted ? done : done.catch(() => {}))
            }
            if (isCommitted) for (const id of ids) committed.add(id)
          }
        }
        await Promise.all([lane(true), lane(false)])
        await connection.end()
        await kysely.destroy()

        const worker = await startApp(
          store.options,
          defineJob({ id: 'job' }, () => {}),
        )
        await eventually(async () => expect(await worker.runs({ state: 'queued', limit: 1 })).toEqual([]), 60_000)
        await eventually(async () => expect(await worker.runs({ state: 'running', limit: 1 })).toEqual([]), 60_000)
        const ran = await worker.runs({ state: 'succeeded', limit: 20_000 })
        expect(new Set(ran.map(({ id }) => id))).toEqual(committed)
        expect(committed.size).toBe(5_000)
      },
    )

    it('refuses a Kysely that is no transaction and a pool, which would commit at once', async () => {
      const app = await startApp(
        store.options,
        defineJob({ id: 'job' }, () => {}),
      )
      const kysely = new Kysely<unknown>({ dialect: new MysqlDialect({ pool: poolOfOne(dsn()) }) })
      expect(await rejected(app.enqueue('job', { trx: kysely as never }))).toMatchObject({ code: 'USAGE' })
      await kysely.destroy()
    })

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

function poolOfOne(dsn: string) {
  return {
    getConnection: (callback: (error: unknown, connection: never) => void) => {
      const connection = createConnection(dsn)
      callback(null, Object.assign(connection, { release: () => connection.end() }) as never)
    },
    end: (callback: (error: unknown) => void) => callback(null),
  }
}
