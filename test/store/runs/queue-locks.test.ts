import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type KyselyPlugin, SelectQueryNode, sql, type Transaction } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../../src/store/connection/database.ts'
import { migrate } from '../../../src/store/migration/migrate.ts'
import { RunStore } from '../../../src/store/runs/run-store.ts'
import type { Tables } from '../../../src/store/tables.ts'
import { Gate } from '../../support/app.ts'
import { createMysqlDatabase } from '../../support/databases.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'
import type { ClaimRequest } from '../../../src/store/runs/claim/claim-request.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'

const request = (options: Partial<ClaimRequest> = {}): ClaimRequest => ({
  nodeId: NODE,
  limit: 50,
  limits: new Map(),
  ...options,
})

/** Locks as the server's own tables show them. SQLite has one lock for the whole file. */
describe('locks on MySQL', () => {
  let database: Database
  let drop: () => Promise<void>
  let runs: RunStore

  beforeAll(async () => {
    const created = await createMysqlDatabase()
    drop = created.drop
    database = await openDatabase({ mysql: created.options })
    await migrate(database, { direction: 'up' })
    runs = new RunStore(database)
  })
  afterAll(async () => {
    await database.close()
    await drop()
  })
  beforeEach(async () => {
    await database.sql.exec('TRUNCATE TABLE piko_run')
  })

  /** The same database, but `inspect` runs in each transaction before it commits. */
  const inspected = (
    inspect: (trx: Transaction<Tables>) => Promise<void>,
    ...plugins: readonly KyselyPlugin[]
  ): Database => ({
    ...database,
    transaction: (fn) =>
      database.transaction(async (trx) => {
        const value = await fn(plugins.reduce<Transaction<Tables>>((on, plugin) => on.withPlugin(plugin), trx))
        await inspect(trx)
        return value
      }),
  })

  async function rowsLockedBy(trx: Transaction<Tables>): Promise<number> {
    for (;;) {
      // The server only renews this table after no one, in any test, has read it for 100 ms.
      await sleep(150)
      const { rows } = await sql<{ locked: number }>`
        SELECT trx_rows_locked AS locked FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = CONNECTION_ID()
      `.execute(trx)
      if (rows[0]) return Number(rows[0].locked)
    }
  }

  describe('a claim among 100,000 due runs', () => {
    const fill = async (): Promise<void> => {
      const run = (index: number): NewRun => ({ jobId: `job_${index % 50}`, kind: 'manual', priority: index % 3 })
      await runs.enqueue(Array.from({ length: 12_500 }, (_, index) => run(index)))
      const columns = await database.sql.query<{ name: string }>(
        `SELECT column_name AS name FROM information_schema.columns
         WHERE table_schema = DATABASE() AND table_name = 'piko_run' AND extra NOT LIKE '%GENERATED%' AND column_name <> 'id'`,
      )
      const list = columns.map(({ name }) => name).join(', ')
      for (let doubled = 0; doubled < 3; doubled++) {
        await database.sql.exec(`INSERT INTO piko_run (${list}) SELECT ${list} FROM piko_run`)
      }
      await database.sql.query('ANALYZE TABLE piko_run')
    }

    it('locks n rows in the order of an index, and blocks no other claim', async () => {
      await fill()
      const selects: SelectQueryNode[] = []
      const recorder: KyselyPlugin = {
        transformQuery: ({ node }) => {
          if (SelectQueryNode.is(node)) selects.push(node)
          return node
        },
        transformResult: ({ result }) => Promise.resolve(result),
      }
      for (const limit of [1, 50, 500]) {
        const locked: number[] = []
        const isOpen = new Gate()
        const mayCommit = new Gate()
        const claiming = new RunStore(
          inspected(async (trx) => {
            locked.push(await rowsLockedBy(trx))
            isOpen.open()
            await mayCommit.pass()
          }, recorder),
        ).claim(request({ limit }))
        await isOpen.pass()
        // Waiting for the first claim would end in a lock wait timeout, because it commits later.
        const second = await runs.claim(request({ nodeId: OTHER, limit }))
        mayCommit.open()
        const first = await claiming
        expect([first.claims.length, second.claims.length]).toEqual([limit, limit])
        expect(new Set([...first.claims, ...second.claims].map(({ runId }) => runId)).size).toBe(2 * limit)
        expect(locked[0]).toBeGreaterThanOrEqual(limit)
        expect(locked[0]).toBeLessThanOrEqual(limit + 20)
      }

      await new RunStore(inspected(async () => {}, recorder)).claim(
        request({ limit: 500, except: [{ jobId: 'job_1' }, { jobId: 'job_2', concurrencyKey: 'k' }] }),
      )
      const executor = database.db.getExecutor()
      const candidates = selects
        .filter(({ joins }) => joins)
        .map((node) => executor.compileQuery(node, { queryId: 'claim' }))
      // A claim without conditions is compiled once, with objects in the place of its limits.
      expect(candidates).toHaveLength(2)
      for (const { sql: text, parameters } of candidates) {
        for (const limit of [1, 50, 500]) {
          const values = parameters.map((value) => (Object(value) === value ? limit : value))
          const { rows } = await database.db.executeQuery<Record<string, unknown>>(
            CompiledQuery.raw(`EXPLAIN ${text}`, values),
          )
          const read = rows.map(({ table, key }) => ({ table, key }))
          expect(read).toHaveLength(3)
          expect(read).toContainEqual({ table: 'piko_run', key: 'run_queue' })
          expect(read).toContainEqual({ table: 'run', key: 'PRIMARY' })
          for (const row of rows) expect(row['Extra']).not.toMatch(/filesort|temporary/)
        }
      }
    })
  })

  it('of a large claim leave the following runs to a small one, in order', async () => {
    const stored = await runs.enqueue(
      Array.from({ length: 2_000 }, (_, index) => ({ jobId: 'a', kind: 'manual', priority: index % 2 })),
    )
    const isOpen = new Gate()
    const mayCommit = new Gate()
    const claiming = new RunStore(
      inspected(async () => {
        isOpen.open()
        await mayCommit.pass()
      }),
    ).claim(request({ limit: 1_000 }))
    await isOpen.pass()
    const small = await runs.claim(request({ nodeId: OTHER, limit: 3 }))
    mayCommit.open()
    const ids = (await claiming).claims.map(({ runId }) => runId)
    expect(ids).toHaveLength(1_000)
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    expect(small.claims.map(({ runId }) => runId)).toEqual([stored[1], stored[3], stored[5]])
    await runs.claim(request({ limit: 2_000 }))
    expect(await runs.claim(request({ limit: 3 }))).toEqual({ claims: [], blocked: [] })
  })

  it('on more runs than a claim looks at leave the following runs to it', async () => {
    await runs.enqueue(Array.from({ length: 16_002 }, () => ({ jobId: 'a', kind: 'manual', priority: 0 })))
    const isHeld = new Gate()
    const released = new Gate()
    const holding = database.transaction(async (trx) => {
      await sql`SELECT id FROM piko_run ORDER BY id LIMIT 16001 FOR UPDATE`.execute(trx)
      isHeld.open()
      await released.pass()
    })
    await isHeld.pass()
    const { claims } = await runs.claim(request({ limit: 10 }))
    expect(claims).toHaveLength(1)
    released.open()
    await holding
  })

  it('on one run do not delay the recovery of the others', async () => {
    const ids = await runs.enqueue(Array.from({ length: 3 }, () => ({ jobId: 'a', kind: 'manual', priority: 0 })))
    await runs.claim(request())
    const isHeld = new Gate()
    const released = new Gate()
    const holding = database.transaction(async (trx) => {
      await sql`SELECT id FROM piko_run WHERE id = ${ids[1]} FOR UPDATE`.execute(trx)
      isHeld.open()
      await released.pass()
    })
    await isHeld.pass()
    expect(await runs.recover()).toMatchObject({ count: 2 })
    released.open()
    await holding
    expect(await runs.recover()).toMatchObject({ count: 1 })
  })
})
