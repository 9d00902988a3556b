import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { type Database } from '../../src/store/database.ts'
import { eventually, makeApp, recordEvents, startApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'

const BAD = ['', '0', '2026-13-45T00:00:00.000Z', '2026-02-30T00:00:00.000Z', 'a day', '0000-00-00 00:00:00']
const fine = defineJob({ id: 'fine' }, async () => {})

describe('a row that somebody has edited into what is no instant', () => {
  describeSqlite((store) => {
    async function edited(statement: string, ...values: unknown[]): Promise<Database> {
      const database = await store.open()
      const [head = '', ...rest] = statement.split('?')
      const text = rest.reduce((all, part, index) => sql`${all}${values[index]}${sql.raw(part)}`, sql.raw(head))
      await database.retry(() => text.execute(database.db))
      return database
    }

    it.each(['run_at', 'tick', 'window_start', 'window_end'].flatMap((column) => BAD.map((bad) => [column, bad])))(
      'as %s of a due run holds up no other run: %j',
      async (column, bad) => {
        await store.empty()
        const app = makeApp(store.options, [fine])
        const broken = recordEvents(app, 'row.broken')
        const database = await store.open()
        const run = { kind: 'manual', state: 'queued', job_id: 'fine', priority: -1 } as const
        const past = '2020-01-01T00:00:00.000Z'
        await database.db
          .insertInto('piko_run')
          .values({
            ...run,
            run_at: past,
            created_at: past,
            window_start: past,
            window_end: past,
            [String(column)]: bad,
          })
          .execute()
        await app.start()
        for (let count = 0; count < 3; count++)
          await expect(app.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
        await eventually(() => expect(broken).toMatchObject([{ table: 'piko_run', columns: [column] }]))
        expect(broken[0]?.error.message).toContain('the row of piko_run with id = ')
      },
    )

    it.each(['plan_at', 'next_tick'].flatMap((column) => BAD.map((bad) => [column, bad])))(
      'as %s of a job holds up no other job: %j',
      async (column, bad) => {
        await store.empty()
        const ticking = ['one', 'two', 'three'].map((id) => defineJob({ id, every: '100ms' }, async () => {}))
        const app = await startApp(store.options, ticking)
        const planned = recordEvents(app, 'runs.planned')
        await eventually(() => expect(planned.length).toBeGreaterThan(3))
        await edited(`UPDATE piko_job SET ${column} = ? WHERE id = 'two'`, bad)
        planned.splice(0)
        await eventually(() => {
          for (const id of ['one', 'three'])
            expect(planned.filter(({ jobId }) => jobId === id).length).toBeGreaterThan(3)
        })
      },
    )

    it.each(BAD)('as effective_from of a config lets the node start: %j', async (bad) => {
      await store.empty()
      const app = await startApp(store.options, [fine])
      await app.configs.save('fine', { a: 1 })
      await app.stop()
      await edited('UPDATE piko_job_config SET effective_from = ?', bad)
      const again = await startApp(store.options, [fine])
      await expect(again.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    })
  })
})
