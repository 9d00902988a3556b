import { expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
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

  it('stores one run for fifty simultaneous calls with one key from two nodes', async () => {
    const app = await start()
    const other = await startApp(fixture.options, [defineJob({ id: 'ship' }, () => {})])
    const calls = Array.from({ length: 50 }, (_, index) =>
      (index % 2 ? app : other).enqueue('ship', { idempotencyKey: 'order-7' }),
    )
    const ids = new Set(await Promise.all(calls))
    expect(ids.size).toBe(1)
    expect(await app.runs.list({ jobId: 'ship' })).toHaveLength(1)
  })

  it('distinguishes keys by job and by their exact characters', async () => {
    const app = await start()
    const ids = await Promise.all([
      app.enqueue('ship', { idempotencyKey: 'a' }),
      app.enqueue('ship', { idempotencyKey: 'A' }),
      app.enqueue('bill', { idempotencyKey: 'a' }),
      app.enqueue('ship'),
    ])
    expect(new Set(ids).size).toBe(4)
  })

  it('returns a succeeded run, and stores another after a failed one', async () => {
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

  it('stores another run after the period', async () => {
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

  it('is part of the transaction: a rollback frees the key, a commit keeps it', async () => {
    const app = await start()
    const inside = (fails: boolean): Promise<number> =>
      app.sql.transaction(async (trx) => {
        const id = await app.enqueue('ship', { idempotencyKey: 'a', trx })
        expect(await app.enqueue('ship', { idempotencyKey: 'a', trx })).toBe(id)
        if (fails) throw new Error('rolled back')
        return id
      })
    await expect(inside(true)).rejects.toThrow('rolled back')
    expect(await app.runs.list({ jobId: 'ship' })).toEqual([])
    const id = await inside(false)
    expect(await app.enqueue('ship', { idempotencyKey: 'a' })).toBe(id)
  })

  it('accepts keys for many runs in one call, as if they were requested one after another', async () => {
    const app = await start()
    const [old] = await app.enqueueMany('ship', [{ idempotencyKey: 'old', input: 1 }])
    const other = await app.enqueue('bill', { idempotencyKey: 'old' })
    const ids = await app.enqueueMany('ship', [
      { input: 'no key' },
      { idempotencyKey: 'new', input: 2 },
      { idempotencyKey: 'old', input: 1 },
      { idempotencyKey: 'new', input: 2 },
      { idempotencyKey: 'new ', input: 3 },
      { input: 'no key' },
    ])
    expect([ids[2], ids[3]]).toEqual([old, ids[1]])
    expect(new Set([...ids, other]).size).toBe(6)
    const stored = new Map((await app.runs.list({ jobId: 'ship' })).map(({ id, input }) => [id, input]))
    expect(ids.map((id) => stored.get(id))).toEqual(['no key', 2, 1, 2, 3, 'no key'])
    expect(stored.size).toBe(5)
    expect(await app.enqueue('ship', { idempotencyKey: 'new', input: 2 })).toBe(ids[1])
  })

  it('applies the rules of each key in a call of many', async () => {
    const app = await start()
    const failed = await app.enqueue('fails', { idempotencyKey: 'failed' })
    await app.waitFor(failed)
    const hour = { key: 'hour', period: '1h' } as const
    const day = { key: 'day', period: '1d' } as const
    const first = await app.enqueueMany('fails', [{ idempotencyKey: hour }, { idempotencyKey: day }])
    for (const id of first) await app.waitFor(id)
    const { db, dialect } = database
    await db
      .updateTable('piko_idempotency')
      .set({ created_at: dialect.nowPlus(-2 * HOUR_MS) })
      .execute()
    const states = ['failed', 'queued', 'running'] as const
    const again = await app.enqueueMany('fails', [
      { idempotencyKey: { ...hour, states } },
      { idempotencyKey: { ...day, states } },
      { idempotencyKey: 'failed' },
      { idempotencyKey: { key: 'failed', states: ['failed'] } },
    ])
    expect(again[1]).toBe(first[1])
    expect([failed, ...first]).not.toContain(again[0])
    expect(again[2]).not.toBe(failed)
    // The run of the previous item is queued.
    expect(again[3]).not.toBe(again[2])
  })

  it('stores none of many runs if one contradicts a run with its key, stored or in the same call', async () => {
    const app = await start()
    const id = await app.enqueue('ship', { idempotencyKey: 'a', input: 1 })
    const stored = await rejected(app.enqueueMany('ship', [{}, { idempotencyKey: 'a', input: 2 }]))
    expect(stored).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { jobId: 'ship', key: 'a', runId: id } })
    const within = await rejected(
      app.enqueueMany('ship', [
        { idempotencyKey: 'b', input: 1 },
        { idempotencyKey: 'b', input: 2 },
      ]),
    )
    expect(within).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { jobId: 'ship', key: 'b' } })
    expect(await app.runs.list({ jobId: 'ship' })).toHaveLength(1)
  })

  it('stores one run per key when many calls from two nodes request the same thousand in any order', async () => {
    const app = await start()
    const other = await startApp(fixture.options, [defineJob({ id: 'ship' }, () => {})])
    const items = Array.from({ length: 1_000 }, (_, index) => ({ idempotencyKey: `key ${index}` }))
    const calls = await Promise.all([
      app.enqueueMany('ship', items),
      other.enqueueMany('ship', items.toReversed()),
      app.enqueueMany('ship', items.toReversed()),
      other.enqueueMany('ship', items),
    ])
    const [one, two, three, four] = calls
    expect(two?.toReversed()).toEqual(one)
    expect([three?.toReversed(), four]).toEqual([one, one])
    expect(new Set(one).size).toBe(1_000)
    expect(await app.runs.list({ jobId: 'ship', limit: 5_000 })).toHaveLength(1_000)
  })

  it('finds with one look that a run ended long ago', async () => {
    const app = await start()
    const id = await app.enqueue('ship', { idempotencyKey: 'a' })
    await app.waitFor(id)
    // The next poll never comes.
    const idle = await startApp(fixture.options, [defineJob({ id: 'ship' }, () => {})], {
      clock: new ManualClock(),
      execute: false,
    })
    expect(await idle.waitFor(id)).toMatchObject({ id, state: 'succeeded' })
    expect(await idle.run('ship', { idempotencyKey: 'a', wait: true })).toMatchObject({ id })
    await expect(idle.waitFor(id, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })

  it.each([
    ['', /idempotencyKey is ""; expected a string of 1 to 255/],
    ['x'.repeat(256), /expected a string of 1 to 255/],
    [{ key: 'a', states: [] }, /states of idempotencyKey "a" are \[\]/],
    [{ key: 'a', states: ['done' as 'failed'] }, /expected a list of queued, running/],
    [{ key: 'a', period: 'day' as '1d' }, /period of idempotencyKey is "day"/],
    [{ key: 'a', perod: '1d' } as { key: string }, /idempotencyKey.*"perod".*"period"/],
    [null as unknown as string, /idempotencyKey.* null/],
  ])('refuses %j', async (idempotencyKey, message) => {
    const app = await start()
    expect((await rejected(app.enqueue('ship', { idempotencyKey }))).message).toMatch(message)
  })
})
