import { createConnection, createPool } from 'mysql2'
import { createConnection as createPromiseConnection, createPool as createPromisePool } from 'mysql2/promise'
import { Kysely, MysqlDialect } from 'kysely'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import type { EnqueueTransaction } from '../../src/store/statements/user-transaction.ts'
import { NodeSqliteDialect } from '../../src/store/connection/sqlite/sqlite-driver.ts'
import { eventually, recordEvents, startApp, storeSettings } from '../support/app.ts'
import { describeEachStore, type TestStore } from '../support/databases.ts'
import { effectsOf, emptyEffects } from '../support/effect-table.ts'
import { rejected } from '../support/thrown.ts'

const INSERT = 'INSERT INTO effect (run_id) VALUES (?)'
const LATER = new Date('2031-03-30T01:30:00.123Z')
/** The shift that the driver applies to a bound `Date`. */
const SHIFTED = { timezone: '+05:00' } as const

const job = defineJob({ id: 'job' }, (ctx) => ctx.input)
const rollback = new Error('rolled back')

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
    await emptyEffects(database)
  })

  const effects = (): Promise<unknown[]> => effectsOf(database)
  /** An app that requests runs and executes none. */
  const startClient = (): Promise<Piko> => startApp(store.options, job, { execute: false })

  describe('app.enqueue', () => {
    it('stores a run and returns its id', async () => {
      const app = await startApp(store.options, job)
      const id = await app.enqueue('job', { input: 7 })
      expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', output: 7 })
      expect(await rejected(app.enqueue('other'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    })

    it('is part of the given transaction', async () => {
      const app = await startApp(store.options, job)
      const started = recordEvents(app, 'run.started')
      const committed: number[] = []
      for (let index = 0; index < 40; index++) {
        const enqueued = app.sql.transaction(async (trx) => {
          const id = await app.enqueue('job', { trx })
          await trx.exec(INSERT, [id])
          if (index % 2 === 1) throw rollback
          committed.push(id)
        })
        await (index % 2 === 1 ? enqueued.catch(() => {}) : enqueued)
      }
      await eventually(async () => expect(await app.runs.list({ state: 'succeeded' })).toHaveLength(20))
      expect(started.map(({ runId }) => runId).sort((a, b) => a - b)).toEqual(committed)
      expect(await effects()).toEqual(committed.map((run_id) => ({ run_id })))
    })

    it('works inside ctx.commit', async () => {
      const next = defineJob({ id: 'next' }, (ctx) => ctx.input)
      const first = defineJob({ id: 'first' }, (ctx) =>
        ctx.commit((trx) => app.enqueue('next', { input: ctx.runId, trx })),
      )
      const app = await startApp(store.options, [first, next])
      const { id, output } = await app.run('first', { wait: true })
      expect(await app.waitFor(output as number)).toMatchObject({ jobId: 'next', output: id })
    })

    it('refuses a value that is not a transaction', async () => {
      const app = await startClient()
      for (const trx of [{}, app.sql, database.db] as unknown as EnqueueTransaction[]) {
        expect(await rejected(app.enqueue('job', { trx }))).toMatchObject({ code: 'USAGE' })
      }
      expect(await app.runs.list()).toEqual([])
    })

    it('refuses a trx that has ended', async () => {
      const app = await startClient()
      const trx = await app.sql.transaction((open) => Promise.resolve(open))
      await expect(app.enqueue('job', { trx })).rejects.toMatchObject({ code: 'USAGE' })
      expect(await app.runs.list()).toEqual([])
    })
  })

  describe('app.enqueueMany', () => {
    it('stores runs in the given order', async () => {
      const app = await startClient()
      const ids = await app.enqueueMany('job', [{ input: 'a' }, { input: 'b', priority: -1 }, { runAt: LATER }])
      const runs = (await app.runs.list()).toReversed()
      expect(runs.map(({ id }) => id)).toEqual(ids)
      expect(runs).toMatchObject([{ input: 'a' }, { input: 'b', priority: -1 }, { runAt: LATER }])
      expect(await app.enqueueMany('job', [])).toEqual([])
    })

    it('stores all or none', async () => {
      const app = await startClient()
      const items = [{ input: 1 }, { priority: 1e6 }]
      expect(await rejected(app.enqueueMany('job', items))).toMatchObject({ code: 'USAGE' })
      expect(await rejected(app.enqueueMany('other', [{}]))).toMatchObject({ code: 'JOB_UNKNOWN' })
      expect(await app.runs.list()).toEqual([])
    })

    it('splits thousands into statements, whose ids stay in order', async () => {
      const app = await startClient()
      const items = Array.from({ length: 2_500 }, (_, input) => ({ input }))
      const outside = await app.enqueueMany('job', items)
      const inside = await app.sql.transaction((trx) => app.enqueueMany('job', items, { trx }))
      const inputs = new Map((await app.runs.list({ limit: 10_000 })).map(({ id, input }) => [id, input]))
      for (const ids of [outside, inside]) expect(ids.map((id) => inputs.get(id))).toEqual(items.map((i) => i.input))
    })
  })

  describe("a transaction of the user's own library", () => {
    it.each(transactionsOn(store))('$name: commits or rolls back the runs', async ({ open }) => {
      const transaction = await open()
      const app = await startClient()
      const committed = await transaction((trx) =>
        app.enqueueMany('job', [{ input: "it's" }, { input: '\\' }], { trx }),
      )
      await transaction((trx) => app.enqueue('job', { trx }).then(() => Promise.reject(rollback))).catch(() => {})
      const runs = (await app.runs.list()).toReversed()
      expect(runs.map(({ id }) => id)).toEqual(committed)
      expect(runs).toMatchObject([{ input: "it's" }, { input: '\\' }])
    })

    it.each(transactionsOn(store))('$name: instants are UTC, whatever its time zone is', async ({ open }) => {
      const transaction = await open()
      const app = await startClient()
      const id = await transaction((trx) => app.enqueue('job', { trx, runAt: LATER }))
      expect(await app.runs.show(id)).toMatchObject({ runAt: LATER })
      const { createdAt } = await app.runs.show(id)
      expect(Math.abs(createdAt.getTime() - Date.now())).toBeLessThan(60_000)
    })
  })

  it('10,000 requests in transactions, half of them rolled back: the others run', async () => {
    const app = await startClient()
    const committed = new Set<number>()
    const lane = async (transaction: OwnTransaction, transactions: number): Promise<void> => {
      for (let index = 0; index < transactions; index++) {
        const ids: number[] = []
        const done = transaction(async (trx) => {
          for (let each = 0; each < 10; each++) ids.push(await app.enqueue('job', { trx }))
          if (index % 2 === 1) throw rollback
        })
        await done.catch((error: unknown) => expect(error).toBe(rollback))
        if (index % 2 === 0) for (const id of ids) committed.add(id)
      }
    }
    const lanes = await Promise.all(transactionsOn(store).map(({ open }) => open()))
    await Promise.all(lanes.map((transaction) => lane(transaction, 1_000 / lanes.length)))
    expect(committed.size).toBe(5_000)

    const worker = await startApp(store.options, job)
    await eventually(async () => {
      expect(await worker.runs.list({ state: 'queued', limit: 1 })).toEqual([])
      expect(await worker.runs.list({ state: 'running', limit: 1 })).toEqual([])
    })
    const ran = await worker.runs.list({ state: 'succeeded', limit: 20_000 })
    expect(new Set(ran.map(({ id }) => id))).toEqual(committed)
  })

  if (store.name === 'sqlite') {
    it('requests that would wait for their own transaction are refused', async () => {
      const app = await startApp(store.options, job)
      for (const request of [
        () => app.run('job'),
        () => app.enqueue('job'),
        () => app.enqueueMany('job', [{}]),
      ] as (() => Promise<unknown>)[]) {
        expect(await rejected(app.sql.transaction(() => request()))).toMatchObject({ code: 'USAGE' })
      }
    })
    return
  }

  it('refuses connections and pools that would commit immediately', async () => {
    const app = await startClient()
    const uri = dsnOf(store)
    const connection = await createPromiseConnection(uri)
    const others = [createPromisePool(uri), createPool(uri), createConnection(uri)]
    for (const trx of [connection, ...others] as unknown as EnqueueTransaction[]) {
      expect(await rejected(app.enqueue('job', { trx }))).toMatchObject({ code: 'USAGE' })
    }
    await connection.beginTransaction()
    await connection.commit()
    expect(await rejected(app.enqueue('job', { trx: connection }))).toMatchObject({ code: 'USAGE' })
    for (const other of others) await other.end()
    expect(await app.runs.list()).toEqual([])

    await connection.query('SET autocommit = 0')
    const id = await app.enqueue('job', { trx: connection })
    expect(await app.runs.list()).toEqual([])
    await connection.commit()
    expect(await app.runs.list()).toMatchObject([{ id }])
    await connection.end()
  })
})

type OwnTransaction = <T>(fn: (trx: EnqueueTransaction) => Promise<T>) => Promise<T>

/** The libraries that users have, each with its own connection. */
function transactionsOn(store: TestStore): { name: string; open: () => Promise<OwnTransaction> }[] {
  if (store.name === 'sqlite') return [{ name: 'Kysely', open: async () => kyselyOnSqlite(store) }]
  return [
    { name: 'Kysely', open: async () => kyselyOnMysql(store) },
    { name: 'mysql2', open: () => mysql2(store) },
  ]
}

const dsnOf = (store: TestStore): string => (storeSettings(store.options).mysql as { dsn: string }).dsn

function kyselyOnSqlite({ options }: TestStore): OwnTransaction {
  const dialect = new NodeSqliteDialect(options.sqlitePath!)
  return ofKysely(new Kysely<unknown>({ dialect }))
}

function kyselyOnMysql(store: TestStore): OwnTransaction {
  const pool = createPool({ uri: dsnOf(store), ...SHIFTED })
  return ofKysely(new Kysely<unknown>({ dialect: new MysqlDialect({ pool }) }))
}

function ofKysely(kysely: Kysely<unknown>): OwnTransaction {
  onTestFinished(() => kysely.destroy())
  return (fn) => kysely.transaction().execute(fn)
}

async function mysql2(store: TestStore): Promise<OwnTransaction> {
  const connection = await createPromiseConnection({ uri: dsnOf(store), ...SHIFTED })
  onTestFinished(() => connection.end())
  return async (fn) => {
    await connection.beginTransaction()
    try {
      const value = await fn(connection)
      await connection.commit()
      return value
    } catch (error) {
      await connection.rollback()
      throw error
    }
  }
}
