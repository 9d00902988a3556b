import { beforeEach, expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { isPikoError } from '../../src/errors.ts'
import { startApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'

const HUGE = '9223372036854775807'

describeSqlite((store) => {
  let app: Piko

  beforeEach(async () => {
    await store.empty()
    const stepped = defineJob({ id: 'stepped' }, (ctx) => ctx.step('one', () => 1))
    app = await startApp(store.options, [stepped, defineJob({ id: 'plain', rate: '1000/s' }, () => 'ran')])
  })

  /** What a call answers: a value, the code of Piko's own error, or another error. */
  const answer = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'a value',
      (error: unknown) => (isPikoError(error) ? error.code : error),
    )

  it.each([
    ['piko_batch', 'total'],
    ['piko_batch', 'stored'],
    ['piko_batch_slice', 'id_step'],
    ['piko_batch_slice', 'size'],
    ['piko_step', 'fence'],
    ['piko_step', 'ms'],
    ['piko_run', 'priority'],
    ['piko_run', 'attempt'],
    ['piko_run', 'fence'],
    ['piko_job', 'priority'],
    ['piko_window', 'fence'],
    ['piko_attempt', 'fence'],
    ['piko_lock', 'fence'],
  ])('%s.%s that no number can hold is a broken row, and others go on', async (table, column) => {
    const batch = await app.batch('plain', [{}])
    await batch.wait()
    const { id } = await app.run('stepped', { wait: true })
    await app.runs.cancel((await app.run('plain', { runAt: '2100-01-01T00:00:00Z' })).id)
    const [has] = await app.sql.query(
      `SELECT count(*) AS n FROM pragma_table_info('${table}') WHERE name = '${column}'`,
    )
    if (has?.['n'] === 1) await app.sql.exec(`UPDATE ${table} SET ${column} = ${HUGE}`)
    const calls = [
      app.batches.show(batch.id),
      app.batches.list(),
      app.batches.replay(batch.id),
      app.runs.show(id),
      app.runs.list(),
      app.jobs.list(),
      app.locks.list(),
    ]
    for (const one of await Promise.all(calls.map(answer))) expect(one).toMatch(/^a value$|^ROW_BROKEN$/)
    expect((await app.run('plain', { wait: true })).output).toBe('ran')
  })

  it('a key that is not a string disturbs nothing', async () => {
    const batch = await app.batch('plain', [{}], { key: 'mine' })
    await batch.wait()
    const { id } = await app.run('stepped', { wait: true })
    await app.sql.exec("UPDATE piko_batch SET batch_key = x'00ff'")
    await app.sql.exec("UPDATE piko_step SET name = x'00ff'")
    expect(await app.batches.list()).toHaveLength(1)
    expect((await app.runs.show(id)).steps).toHaveLength(1)
    expect((await app.run('stepped', { wait: true })).output).toBe(1)
  })
})
