import { describe, expect, it } from 'vitest'
import { LockStore } from '../../src/store/nodes/lock-store.ts'
import { startApp } from '../support/app.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { describeEachStore } from '../support/databases.ts'

describe('a span of time that the database can not add', () => {
  describeEachStore((store) => {
    it.each([Infinity, NaN, 1e16, 8.64e15, -1e16])('is never stored as an empty instant: %d ms', async (ms) => {
      const locks = new LockStore(await store.open())
      await locks.acquire('free', 'me', 60_000)
      await expect(locks.acquire('far', 'me', ms)).rejects.toThrow('a length of time to store is')
      const { db } = await store.open()
      const rows = await db.selectFrom('piko_lock').select(['name', 'expires_at']).execute()
      expect(rows.filter((row) => row.expires_at === null)).toEqual([])
    })

    it.each([new Date(NaN), new Date(8.64e15), new Date(-62_135_596_800_000), new Date(253_402_300_800_000)])(
      'is not an instant either: %s',
      async (date) => {
        const { dialect } = await store.open()
        expect(() => dialect.instant(date)).toThrow(RangeError)
      },
    )

    it('is refused by every call that accepts one at run time, before anything is written', async () => {
      const app = await startApp(store.options, [
        defineJob({ id: 'locking' }, async (ctx) => void (await ctx.lock('far', { ttl: '99999999d' }))),
        defineJob({ id: 'plain' }, async () => {}),
      ])
      const refused = expect.objectContaining({ code: 'DURATION_INVALID' }) as Error
      await expect(app.locks.acquire('far', { ttl: '3651d' })).rejects.toThrow(refused)
      await expect(app.locks.acquire('far', { wait: '99999999d' })).rejects.toThrow(refused)
      await expect(app.runs.prune({ olderThan: '99999999d' })).rejects.toThrow(refused)
      const key = { key: 'key', period: '99999999d' } as const
      await expect(app.enqueue('plain', { idempotencyKey: key })).rejects.toThrow(refused)
      await expect(app.run('locking', { wait: true })).rejects.toMatchObject({
        run: { state: 'failed', error: { code: 'DURATION_INVALID' } },
      })
      for (const runAt of [new Date(8.64e15), new Date(NaN), '+012026-01-01T00:00:00Z'])
        await expect(app.enqueue('plain', { runAt })).rejects.toMatchObject({ code: 'USAGE' })
      await expect(app.run('plain', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    })
  })
})
