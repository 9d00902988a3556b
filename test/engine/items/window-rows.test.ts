import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { defineSink } from '../../../src/sink/define-sink.ts'
import { sqlTable } from '../../../src/sink/sql/sql-table.ts'
import { eventually, Gate, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const WINDOW = '2026-01-01T00:00:00Z'

describeEachStore((fixture) => {
  it('keeps rows that items wrote during the seeding, and those of the run before until the end of the next', async () => {
    const database = await fixture.open()
    await fixture.empty()
    await database.sql.exec('DROP TABLE IF EXISTS seeded')
    const Price = z.object({ id: z.string(), amount: z.number() })
    const prices = sqlTable({ name: 'seeded', model: Price, key: ['id'], fenceColumn: 'fence' })
    const Prices = defineSink({
      name: 'SeededPrices',
      open: (env) => prices.open(env, { create: true }),
      clear: (scope) => prices.clear(scope),
      on: [[Price, (rows, batch) => prices.merge(batch, rows)]],
    })
    const amounts = async (): Promise<number[]> => {
      const rows = await database.sql.query<{ amount: number }>('SELECT amount FROM seeded ORDER BY id')
      return rows.map((row) => Number(row.amount))
    }
    let amount = 1
    const again = new Gate()
    const job = defineJob(
      {
        id: 'daily',
        windows: { start: WINDOW, end: '2026-01-02T00:00:00Z', grid: '0 0 * * *' },
        sinks: { prices: Prices },
        items: {
          page: {
            run: async (item: Item<number>, ctx) => {
              if (amount === 2) await again.pass()
              await ctx.sinks.prices.write(Price, { id: `p${item.data}`, amount })
            },
          },
        },
      },
      async (ctx) => {
        await ctx.items.add('page', [0, 1, 2])
        // The first items have ended, and have written, long before the handler ends.
        if (amount === 1) await eventually(async () => expect(await amounts()).toEqual([1, 1, 1]))
        await ctx.items.add('page', [3, 4])
      },
    )
    const app = await startApp(fixture.options, [job])
    await eventually(async () => expect(await app.windows.list('daily')).toMatchObject([{ state: 'succeeded' }]))
    expect(await amounts()).toEqual([1, 1, 1, 1, 1])

    amount = 2
    const { id } = await app.run('daily', { window: WINDOW })
    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ total: 5, isSeeded: true }))
    expect(await amounts()).toEqual([1, 1, 1, 1, 1])
    again.open()
    await eventually(async () => expect((await app.runs.show(id)).state).toBe('succeeded'))
    expect(await amounts()).toEqual([2, 2, 2, 2, 2])
  })
})
