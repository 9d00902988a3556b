import fc from 'fast-check'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { BufferedSink } from '../../src/sink/buffered-sink.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import type { SinkBatch } from '../../src/sink/sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { SqlDatabase } from '../../src/sql/sql.ts'
import { describeEachStore } from '../support/databases.ts'
import { hourOf, sinkScope, targetOf } from './sink-scope.ts'

interface Row {
  readonly id: number
  readonly total: number
}

const Numbered = z.object({ id: z.int(), total: z.int() })
const FENCES = [10, 20, 30]
/** What an attempt delivers: its batches of rows, the first of which may be refused as a whole. No batch: it clears the window. */
const attempt = fc.record({
  batches: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
  isFirstRefused: fc.boolean(),
})
const story = fc.record({
  attempts: fc.tuple(attempt, attempt, attempt),
  /** Which attempt delivers next, and whether it repeats something first. */
  turns: fc.array(fc.record({ who: fc.nat(2), repeats: fc.option(fc.nat(5)) }), { maxLength: 12 }),
  hour: fc.nat(20),
  bulk: fc.constantFrom('insert' as const, 'auto' as const),
})

describeEachStore((store) => {
  let sql: SqlDatabase
  const tables = { none: [], fence: ['fence'] } as const

  beforeAll(async () => {
    sql = (await store.open()).sql
    const instant = store.name === 'mysql' ? 'DATETIME(3)' : 'TEXT'
    for (const [name, columns] of Object.entries(tables)) {
      const fence = columns.map((column) => `${column} BIGINT NOT NULL,`).join('')
      await sql.exec(`CREATE TABLE fence_${name} (window_start ${instant} NOT NULL, ${fence} id INT, total INT)`)
      await sql.exec(
        `CREATE INDEX fence_${name}_w ON fence_${name} (window_start${columns.map((one) => `, ${one}`).join('')})`,
      )
    }
  })

  beforeEach(async () => {
    for (const name of ['fence_none', 'fence_fence', 'piko_fence']) await sql.exec(`DELETE FROM ${name}`)
  })

  const tableOf = (name: keyof typeof tables, bulk: 'insert' | 'auto' = 'insert') =>
    sqlTable<Row>({
      name: `fence_${name}`,
      columns: ['id', 'total'],
      bulk,
      ...(name === 'fence' && { fenceColumn: name }),
    })
  const batchOf = (hour: number, fence: number, number: number, index = number): SinkBatch => {
    const window = hourOf(hour)
    const key = `orders/${window.start.toISOString()}/Order/${number}`
    return { ...sinkScope({ sql, fence, window }), index, key, sink: 'orders' }
  }
  const idsOf = async (name: string, hour: number): Promise<number[]> => {
    const rows = await sql.query<{ id: number }>(`SELECT id FROM fence_${name} WHERE window_start = ? ORDER BY id`, [
      hourOf(hour).start,
    ])
    return rows.map(({ id }) => id)
  }

  it.each(['none', 'fence'] as const)(
    'ends as the newest attempt wrote it, whatever is late, repeated, refused or empty (fence column: %s)',
    async (name) => {
      await fc.assert(
        fc.asyncProperty(story, async ({ attempts, turns, hour, bulk }) => {
          await sql.exec(`DELETE FROM fence_${name}`)
          await sql.exec('DELETE FROM piko_fence')
          const table = tableOf(name, bulk)
          const plans = attempts.map(({ batches, isFirstRefused }, who) => {
            const fence = FENCES[who]!
            const parts = batches.map((count, number) =>
              Array.from({ length: count }, (_, at): Row => ({ id: fence * 100 + number * 10 + at, total: fence })),
            )
            // A batch that is refused from the disk leaves its number out.
            const steps = parts.map((rows, number) => () => table.replace(batchOf(hour, fence, number), rows))
            const kept = isFirstRefused && steps.length > 1 ? steps.slice(1) : steps
            const clear = (): Promise<void> => table.clear(batchOf(hour, fence, 0))
            const ids = parts
              .slice(parts.length - kept.length)
              .flat()
              .map(({ id }) => id)
            return { steps: kept.length > 0 ? kept : [clear], ids, done: 0 }
          })
          const deliver = async (who: number, step: number): Promise<void> => {
            // An overtaken attempt is refused.
            await plans[who]?.steps[step]?.().catch((error: unknown) => {
              expect(error).toMatchObject({ details: { newerFence: expect.anything() as unknown } })
            })
          }
          const rest = plans.flatMap(({ steps }, who) => steps.map(() => ({ who, repeats: null })))
          for (const { who, repeats } of [...turns, ...rest]) {
            const plan = plans[who]!
            if (repeats !== null && plan.done > 0) await deliver(who, repeats % plan.done)
            else if (plan.done < plan.steps.length) await deliver(who, plan.done++)
          }
          expect(await idsOf(name, hour)).toEqual(plans[2]!.ids)
        }),
        { numRuns: 40 },
      )
    },
  )

  it('stores each batch once while attempts, writers and repeats run at the same time', async () => {
    const table = tableOf('fence')
    const rowsOf = (fence: number, number: number): Row[] =>
      Array.from({ length: 150 }, (_, at) => ({ id: fence * 10_000 + number * 1_000 + at, total: fence }))
    const run = async (fence: number): Promise<void> => {
      const send = (number: number): Promise<void> => table.replace(batchOf(22, fence, number), rowsOf(fence, number))
      await send(0)
      await Promise.all([1, 2, 3, 1, 2, 0].map(send))
    }
    const [older, newer] = await Promise.allSettled([run(10), run(20)])
    expect(newer.status).toBe('fulfilled')
    if (older.status === 'rejected') expect(older.reason).toMatchObject({ details: { newerFence: '20' } })
    expect(await idsOf('fence', 22)).toEqual([0, 1, 2, 3].flatMap((number) => rowsOf(20, number)).map(({ id }) => id))
    const [stored] = await sql.query(
      "SELECT fence, batches, row_count FROM piko_fence WHERE table_name = 'fence_fence' AND fence = 20",
    )
    expect(stored).toEqual({ fence: 20, batches: '{"series":{"orders:Order":[[0,3]]}}', row_count: 600 })
  })

  it('refuses an older attempt after a newer one that wrote no row', async () => {
    const table = tableOf('fence')
    await table.replace(batchOf(3, 10, 0), [{ id: 1, total: 1 }])
    await table.clear(batchOf(3, 20, 0))
    const stale = { code: 'SINK_FAILED', message: expect.stringContaining('belongs to fence 20') as unknown }
    await expect(table.replace(batchOf(3, 10, 1), [{ id: 2, total: 1 }])).rejects.toMatchObject(stale)
    await expect(table.insert(batchOf(3, 10, 2), [{ id: 2, total: 1 }])).rejects.toMatchObject(stale)
    await expect(table.clear(batchOf(3, 10, 0))).rejects.toMatchObject(stale)
    expect(await idsOf('fence', 3)).toEqual([])
  })

  it('adds the rows of two calls with one batch, and those of a repeat once', async () => {
    const table = tableOf('fence')
    const deliver = async (): Promise<void> => {
      const batch = batchOf(4, 10, 0)
      await table.insert(batch, [{ id: 1, total: 1 }])
      await table.insert(batch, [{ id: 2, total: 1 }])
    }
    await deliver()
    await deliver()
    expect(await idsOf('fence', 4)).toEqual([1, 2])
    // A method may pass copies on.
    const Numbers = defineSink({
      name: 'numbers',
      on: [
        [
          Numbered,
          async (rows, batch) => {
            await table.insert({ ...batch }, rows)
            await table.insert(
              { ...batch },
              rows.map(({ id, total }) => ({ id: id + 1, total })),
            )
          },
        ],
      ],
    })
    const sink = new BufferedSink(targetOf(Numbers), sinkScope({ sql, fence: 20, window: hourOf(4) }))
    await sink.write(Numbered, { id: 5, total: 1 })
    await sink.flush()
    expect(await idsOf('fence', 4)).toEqual([1, 2, 5, 6])
  })

  it('keeps the rows that an older version of the program has written', async () => {
    const table = tableOf('fence')
    const insert = 'INSERT INTO fence_fence (window_start, fence, id, total) VALUES (?, ?, ?, 0)'
    for (const [fence, id] of [
      [9, 1],
      [10, 2],
    ] as const)
      await sql.exec(insert, [hourOf(5).start, fence, id])
    await table.replace(batchOf(5, 10, 1), [{ id: 3, total: 1 }])
    expect(await idsOf('fence', 5)).toEqual([2, 3])
    await sql.exec(insert, [hourOf(5).start, 11, 4])
    await expect(table.replace(batchOf(5, 10, 2), [{ id: 5, total: 1 }])).rejects.toThrow('belongs to fence 11')
  })

  it('adds piko_fence beside a table that an older version has created', async () => {
    const table = tableOf('fence')
    for (const prepare of [() => table.open({ sql }), () => Promise.resolve()]) {
      await sql.exec('DROP TABLE piko_fence')
      await prepare()
      await table.replace(batchOf(6, 10, 0), [{ id: 1, total: 1 }])
      await table.replace(batchOf(6, 10, 0), [{ id: 1, total: 1 }])
      expect(await idsOf('fence', 6)).toEqual([1])
      await sql.exec('DELETE FROM fence_fence')
    }
  })
})
