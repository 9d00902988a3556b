import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { RunFailedError } from '../../src/operations/runs/run-failed-error.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { Resource, type ResourceContext } from '../../src/resource/resource.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Gate, Headcount, makeApp, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const RETRY_AT_ONCE = { limit: 2, backoff: 'fixed', base: '1ms', jitter: false } as const
const DAY_1 = new Date('2025-01-01T00:00:00Z')
const DAY_2 = new Date('2025-01-02T00:00:00Z')

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const stateOf = async (runId: number): Promise<string | undefined> => {
    const [row] = await database.sql.query<{ state: string }>('SELECT state FROM piko_run WHERE id = ?', [runId])
    return row?.state
  }

  describe('a resource', () => {
    /** Records what happens to it, with the state of its run in the database at that moment. */
    function watched(log: string[], options: { fail?: 'when returned' | 'when acquired'; size?: number } = {}) {
      return class Watched extends Resource<string> {
        static override readonly size = options.size ?? Infinity
        async *acquire(ctx: ResourceContext) {
          if (options.fail === 'when acquired') throw new Error('no connection')
          try {
            log.push(`lent while ${await stateOf(ctx.runId)}`)
            yield `connection of run ${ctx.runId}`
            log.push('resumed')
          } catch (error) {
            log.push(`resumed with ${(error as Error & { code?: string }).code ?? (error as Error).message}`)
            throw error
          } finally {
            log.push(`returned while ${await stateOf(ctx.runId)}`)
          }
          if (options.fail === 'when returned') throw new Error('commit refused')
        }
        override async close(): Promise<void> {
          log.push('closed')
        }
      }
    }

    it('is in ctx and in the second argument, and is returned before the success is stored', async () => {
      const log: string[] = []
      const job = defineJob({ id: 'a', resources: { db: watched(log) } }, (ctx, { db }) => {
        log.push('handled')
        return [ctx.resources.db, db]
      })
      const app = await startApp(store.options, job)
      const run = await app.run('a', { wait: true })
      const connection = `connection of run ${run.id}`
      expect(run.output).toEqual([connection, connection])
      expect(log).toEqual(['lent while running', 'handled', 'resumed', 'returned while running'])
      await app.run('a', { wait: true })
      log.length = 0
      await app.stop()
      expect(log).toEqual(['closed'])
    })

    it('is resumed with the error of its run, before the failure is stored', async () => {
      const log: string[] = []
      const job = defineJob({ id: 'a', resources: { db: watched(log) } }, () => {
        throw new Error('broken')
      })
      const app = await startApp(store.options, job)
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run.error?.message).toBe('broken')
      expect(log).toEqual(['lent while running', 'resumed with broken', 'returned while running'])
    })

    it('is resumed with the timeout of its run', async () => {
      const log: string[] = []
      const job = defineJob({ id: 'a', timeout: '60ms', resources: { db: watched(log) } }, async ({ signal }) =>
        new Gate().pass(signal),
      )
      const app = await startApp(store.options, job)
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run.error?.code).toBe('RUN_TIMEOUT')
      expect(log).toEqual(['lent while running', 'resumed with RUN_TIMEOUT', 'returned while running'])
    })

    it('that fails on return fails the run', async () => {
      const log: string[] = []
      const job = defineJob({ id: 'a', resources: { db: watched(log, { fail: 'when returned' }) } }, () => 'done')
      const app = await startApp(store.options, job)
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run).toMatchObject({
        state: 'failed',
        output: undefined,
        error: { code: 'RESOURCE_FAILED', message: 'resource Watched failed when it was returned: commit refused' },
      })
    })

    it('that can not be acquired fails the attempt, and the handler is not called', async () => {
      let calls = 0
      const resources = { db: watched([], { fail: 'when acquired' }) }
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', resources, retry: RETRY_AT_ONCE }, () => void calls++),
      )
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run).toMatchObject({ attempt: 3, error: { code: 'RESOURCE_FAILED' } })
      expect(calls).toBe(0)
    })

    it('of size 5 is borrowed by at most 5 of 200 runs at a time, and is closed once', async () => {
      const inside = new Headcount()
      let closed = 0
      const pool = defineResource({
        name: 'pool',
        size: 5,
        acquire: async function* () {
          inside.enter()
          try {
            yield inside
          } finally {
            inside.leave()
          }
        },
        close: () => closed++,
      })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', resources: { pool } }, async (ctx) => {
          await new Promise((resolve) => setTimeout(resolve, 1))
          if (ctx.input === 7) throw new Error('one fails')
        }),
        { settings: { piko: { concurrency: 100 } } },
      )
      const runs = await Promise.allSettled(
        Array.from({ length: 200 }, (_, input) => app.run('a', { input, wait: true })),
      )
      expect(runs.filter((run) => run.status === 'rejected')).toHaveLength(1)
      expect([inside.most, inside.current, closed]).toEqual([5, 0, 0])
      await app.stop()
      expect(closed).toBe(1)
    })

    it('is waited for no longer than the timeout of the run', async () => {
      const gate = new Gate()
      const log: string[] = []
      const resources = { db: watched(log, { size: 1 }) }
      const app = await startApp(store.options, [
        defineJob({ id: 'holder', resources }, () => gate.pass()),
        defineJob({ id: 'waiter', resources, timeout: '80ms' }, () => {}),
      ])
      const holder = await app.run('holder')
      await eventually(() => expect(log).toEqual(['lent while running']))
      const { run } = (await rejected(app.run('waiter', { wait: true }))) as RunFailedError
      expect(run.error?.code).toBe('RUN_TIMEOUT')
      gate.open()
      await app.waitFor(holder.id)
      expect(log).toHaveLength(3)
    })
  })

  describe('a sink', () => {
    const Row = z.object({ id: z.number(), text: z.string().default('-') })
    const table = sqlTable<z.output<typeof Row>>({ name: 'out_rows', columns: ['id', 'text'], fenceColumn: 'fence' })
    const Rows = defineSink({
      name: 'rows',
      batchSize: 2,
      on: [[Row, (rows, batch) => table.replace(batch, rows)]],
      clear: (scope) => table.clear(scope),
    })

    beforeEach(async () => {
      await database.sql.exec('DROP TABLE IF EXISTS out_rows')
      const instant = store.name === 'mysql' ? 'DATETIME(3)' : 'TEXT'
      await database.sql.exec(
        `CREATE TABLE out_rows (window_start ${instant} NOT NULL, fence BIGINT NOT NULL, id INT NOT NULL, text VARCHAR(20))`,
      )
    })

    const stored = async (): Promise<string[]> => {
      const rows = await database.sql.query('SELECT window_start, id, text FROM out_rows ORDER BY window_start, id')
      return rows.map((row) => {
        const day = database.dialect.date(row['window_start'] as Date | string).getUTCDate()
        return `${day}: ${row['id'] as number} ${row['text'] as string}`
      })
    }

    const daily = (
      handler: (ctx: {
        attempt: number
        day: number
        write: (ids: number[], text?: string) => Promise<void>
      }) => unknown,
    ) =>
      defineJob(
        {
          id: 'sync',
          every: '1d',
          windows: { start: DAY_1, end: new Date('2025-01-03T00:00:00Z') },
          sinks: { rows: Rows },
          retry: RETRY_AT_ONCE,
        },
        (ctx) =>
          handler({
            attempt: ctx.attempt,
            day: ctx.window.start.getUTCDate(),
            write: (ids, text) =>
              ctx.sinks.rows.write(
                Row,
                ids.map((id) => ({ id, text })),
              ),
          }),
      )

    it('has delivered everything before the success is stored', async () => {
      const seen: string[] = []
      const Slow = defineSink({
        name: 'slow',
        on: [
          [
            Row,
            async (rows, { runId }) => {
              await new Promise((resolve) => setTimeout(resolve, 30))
              seen.push(`${rows.length} rows while ${await stateOf(runId)}`)
            },
          ],
        ],
      })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', sinks: { out: Slow } }, async (ctx) => {
          await ctx.sinks.out.write(Row, [{ id: 1 }, { id: 2 }])
          seen.push('handled')
        }),
      )
      await app.run('a', { wait: true })
      expect(seen).toEqual(['handled', '2 rows while running'])
    })

    it('that fails at the end fails the run', async () => {
      const Failing = defineSink({
        name: 'failing',
        on: [
          [
            Row,
            () => {
              throw new Error('disk full')
            },
          ],
        ],
      })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', sinks: { out: Failing } }, async (ctx) => {
          await ctx.sinks.out.write(Row, { id: 1 })
          return 'done'
        }),
      )
      const { run } = (await rejected(app.run('a', { wait: true }))) as RunFailedError
      expect(run).toMatchObject({ state: 'failed', output: undefined, error: { code: 'SINK_FAILED' } })
      expect(run.error?.message).toContain('disk full')
    })

    it('is flushed before the resources of the run go back', async () => {
      const log: string[] = []
      const db = defineResource({
        name: 'db',
        acquire: async function* () {
          try {
            yield 1
          } finally {
            log.push('resource returned')
          }
        },
      })
      const Late = defineSink({ name: 'late', on: [[Row, (rows) => void log.push(`${rows.length} rows delivered`)]] })
      const app = await startApp(
        store.options,
        defineJob({ id: 'a', sinks: { out: Late }, resources: { db } }, (ctx) => ctx.sinks.out.write(Row, { id: 1 })),
      )
      await app.run('a', { wait: true })
      expect(log).toEqual(['1 rows delivered', 'resource returned'])
    })

    it('holds only the rows of the last attempt if earlier ones failed midway', async () => {
      const app = await startApp(
        store.options,
        daily(async ({ attempt, day, write }) => {
          await write([1, 2, 3, 4, 5].slice(0, 5 - attempt + 1), `try ${attempt}`)
          if (day === 1 && attempt < 3) throw new Error('half-way')
        }),
      )
      await eventually(async () =>
        expect(await app.windows.summary('sync')).toMatchObject({ counts: { succeeded: 2 } }),
      )
      const last = (await app.windows.list('sync')).map((window) => window.attempt)
      expect(last).toEqual([3, 1])
      expect(await stored()).toEqual([
        ...[1, 2, 3].map((id) => `1: ${id} try 3`),
        ...[1, 2, 3, 4, 5].map((id) => `2: ${id} try 1`),
      ])
    })

    it('replaces the rows of a window that runs again, and clears them if the new run has none', async () => {
      let ids = [1, 2, 3]
      let text = 'old'
      const app = await startApp(
        store.options,
        daily(({ write }) => write(ids, text)),
      )
      await eventually(async () =>
        expect(await app.windows.summary('sync')).toMatchObject({ counts: { succeeded: 2 } }),
      )
      ;[ids, text] = [[7, 8], 'new']
      await app.run('sync', { window: DAY_1, wait: true })
      expect(await stored()).toEqual(['1: 7 new', '1: 8 new', '2: 1 old', '2: 2 old', '2: 3 old'])
      ids = []
      await app.run('sync', { window: DAY_2, wait: true })
      expect(await stored()).toEqual(['1: 7 new', '1: 8 new'])
    })
  })

  it('a part that can not be closed is reported at the stop, and the rest is still closed', async () => {
    const closed: string[] = []
    const resourceOf = (name: string) =>
      defineResource({
        name,
        acquire: async function* () {
          yield name
        },
        close: () => {
          closed.push(name)
          if (name === 'bad') throw new Error('stuck')
        },
      })
    const resources = { first: resourceOf('first'), bad: resourceOf('bad'), last: resourceOf('last') }
    const app = makeApp(
      store.options,
      defineJob({ id: 'a', resources }, () => {}),
      { stopMayFail: true },
    )
    await app.start()
    await app.run('a', { wait: true })
    await expect(app.stop()).rejects.toMatchObject({ code: 'RESOURCE_FAILED' })
    expect(closed).toEqual(['last', 'bad', 'first'])
    expect(await database.db.selectFrom('piko_node').selectAll().execute()).toEqual([])
  })
})
