import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../../src/job/define-job.ts'
import { defineSink } from '../../../src/sink/define-sink.ts'
import { startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const ROWS = 450

const Row = z.object({ id: z.number() }).meta({ id: 'Row' })
const Rows = defineSink({
  name: 'rows',
  guarantee: 'idempotent',
  deadLetters: true,
  on: [
    [
      Row,
      () => {
        throw new Error('the target refuses it')
      },
    ],
  ],
})

describeEachStore((fixture) => {
  it('lists of changes and of dead rows are complete, however many rows one statement reads', async () => {
    const write = defineJob({ id: 'write', cron: '0 0 1 1 *', sinks: { rows: Rows } }, (ctx) =>
      ctx.sinks.rows.write(Row, { id: 1 }),
    )
    const app = await startApp(fixture.options, write)
    await app.jobs.pause('write')
    await app.run('write', { wait: true })
    const { db } = await fixture.open()
    const { id: _audit, ...change } = await db.selectFrom('piko_audit').selectAll().limit(1).executeTakeFirstOrThrow()
    const { id: _dead, ...dead } = await db.selectFrom('piko_dead_row').selectAll().executeTakeFirstOrThrow()
    const count = await db.selectFrom('piko_audit').select('id').execute()
    const copies = <T>(of: (index: number) => T, known: number): T[] =>
      Array.from({ length: ROWS - known }, (_, index) => of(index))
    await db
      .insertInto('piko_audit')
      .values(copies(() => change, count.length))
      .execute()
    await db
      .insertInto('piko_dead_row')
      .values(copies((index) => ({ ...dead, row_key: String(index).padStart(64, '0') }), 1))
      .execute()

    const changes = await app.audit.list({ limit: 1_000 })
    expect(new Set(changes.map(({ id }) => id)).size).toBe(ROWS)
    expect(await app.audit.list({ limit: 101 })).toHaveLength(101)
    expect(await app.sinks.dead({ limit: 500 })).toHaveLength(ROWS)
    expect(await app.sinks.dead({ limit: 201 })).toHaveLength(201)
  })
})
