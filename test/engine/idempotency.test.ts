import { expect, it } from 'vitest'
import { type Piko } from '../../src/engine/app.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { type Database } from '../../src/store/database.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const HOUR_MS = 3_600_000

describeEachStore((fixture) => {
  let database: Database

  const start = async (...more: ReturnType<typeof defineJob>[]): Promise<Piko> => {
    database = await fixture.open()
    await fixture.empty()
    return startApp(fixture.options, [
      defineJob({ id: 'ship' }, () => {}),
      defineJob({ id: 'bill' }, () => {}),
      defineJob({ id: 'fails' }, () => {
        throw new Error('no')
      }),
      ...more,
    ])
  }

  it('stores one run for fifty calls with one key at the same moment, from two nodes', async () => {
    const app = await start()
    const other = await startApp(fixture.options, [defineJob({ id: 'ship' }, () => {})])
    const calls = Array.from({ length: 50 }, (_, index) =>
      (index % 2 ? app : other).enqueue('ship', { idempotencyKey: 'order-7' }),
    )
    const ids = new Set(await Promise.all(calls))
    expect(ids.size).toBe(1)
    expect(await app.runs({ jobId: 'ship' })).toHaveLength(1)
  })

  it('keeps keys apart by job and by their exact text', async () => {
    const app = await start()
    const ids = await Promise.all([
      app.enqueue('ship', { idempotencyKey: 'a' }),
      app.enqueue('ship', { idempotencyKey: 'A' }),
      app.enqueue('bill', { idempotencyKey: 'a' }),
      app.enqueue('ship'),
    ])
    expect(new Set(ids).size).toBe(4)
  })

  it('returns the run that succeeded, and stores another after one that failed', async () => {
    const app = await start()
    const done = await app.run('ship', { idempotencyKey: 'a', wait: true })
    expect((await app.run('ship', { idempotencyKey: 'a', wait: true })).id).toBe(done.id)
    const failed = await app.enqueue('fails', { idempotencyKey: 'a' })
    await app.waitFor(failed)
    expect(await app.enqueue('fails', { idempotencyKey: 'a' })).not.toBe(failed)
    const states = ['failed', 'queued', 'running'] as const
    const kept = await app.enqueue('fails', { idempotencyKey: { key: 'b', states } })
    await app.waitFor(kept)
    expect(await app.enqueue('fails', { idempotencyKey: { key: 'b', states } })).toBe(kept)
  })

  it('stores another when the period is over', async () => {
    const app = await start()
    const idempotencyKey = { key: 'a', period: '1h' } as const
    const first = await app.enqueue('ship', { idempotencyKey })
    expect(await app.enqueue('ship', { idempotencyKey })).toBe(first)
    const { db, dialect } = database
    await db
      .updateTable('piko_idempotency')
      .set({ created_at: dialect.nowPlus(-HOUR_MS) })
      .execute()
    expect(await app.enqueue('ship', { idempotencyKey })).not.toBe(first)
  })

  it('belongs to the transaction: a roll-back frees the key, a commit takes it', async () => {
    const app = await start()
    const inside = (fails: boolean): Promise<number> =>
      app.sql.transaction(async (trx) => {
        const id = await app.enqueue('ship', { idempotencyKey: 'a', trx })
        expect(await app.enqueue('ship', { idempotencyKey: 'a', trx })).toBe(id)
        if (fails) throw new Error('rolled back')
        return id
      })
    await expect(inside(true)).rejects.toThrow('rolled back')
    expect(await app.runs({ jobId: 'ship' })).toEqual([])
    const id = await inside(false)
    expect(await app.enqueue('ship', { idempotencyKey: 'a' })).toBe(id)
  })

  it.each([
    ['', /idempotencyKey is ""; expected a text of 1 to 255/],
    ['x'.repeat(256), /expected a text of 1 to 255/],
    [{ key: 'a', states: [] }, /states of idempotencyKey "a" are \[\]/],
    [{ key: 'a', states: ['done' as 'failed'] }, /expected a list of queued, running/],
    [{ key: 'a', period: 'day' as '1d' }, /period of idempotencyKey is "day"/],
  ])('refuses %j', async (idempotencyKey, message) => {
    const app = await start()
    expect((await rejected(app.enqueue('ship', { idempotencyKey }))).message).toMatch(message)
  })
})
