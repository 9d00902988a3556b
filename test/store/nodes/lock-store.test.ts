import { beforeEach, expect, it } from 'vitest'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { MAX_STORED_MS } from '../../../src/time/duration.ts'
import type { BrokenRow } from '../../../src/store/values/broken-row.ts'
import { describeEachStore } from '../../support/databases.ts'

const A = '00000000-0000-4000-8000-00000000000a'
const B = '00000000-0000-4000-8000-00000000000b'

const renewalOf = ({ sql, parameters }: { sql: string; parameters: (string | number)[] }) => [sql, parameters] as const

describeEachStore((fixture) => {
  let store: Store
  let now: number

  beforeEach(async () => {
    now = Date.parse('2026-03-01T12:00:00.000Z')
    store ??= storeOn(await fixture.open({ clock: { now: () => now } }))
    await fixture.empty()
  })

  it('gives a lock to one of many simultaneous callers', async () => {
    const owners = Array.from({ length: 8 }, (_, index) => `00000000-0000-4000-8000-00000000001${index}`)
    const fences = await Promise.all(owners.map((owner) => store.locks.acquire('leader', owner, 1_000)))
    expect(fences.filter((fence) => fence !== undefined)).toHaveLength(1)
  })

  it('keeps the fence on renewal and raises it for a new owner', async () => {
    const first = (await store.locks.acquire('leader', A, 1_000)) as number
    now += 900
    expect(await store.locks.renew('leader', A, first, 1_000)).toBe(true)
    expect(await store.locks.acquire('leader', B, 1_000)).toBeUndefined()
    now += 1_001
    expect(await store.locks.renew('leader', A, first, 1_000)).toBe(false)
    const second = (await store.locks.acquire('leader', B, 1_000)) as number
    expect(second).toBeGreaterThan(first)
    expect(await store.locks.renew('leader', A, first, 1_000)).toBe(false)
  })

  it('a lease of a node or a lock that ends later than any lease can is shortened, unless it is renewed', async () => {
    const { database, nodes, locks } = store
    const told: BrokenRow[] = []
    database.broken.onReport = (row) => told.push(row)
    const late = store.database.dialect.name === 'sqlite' ? ['tomorrow', '9999-12-31T00:00:00.000Z'] : ['9999-12-31']
    for (const [index, until] of late.entries()) {
      const [dead, live] = [`dead-${index}`, `live-${index}`]
      for (const id of [dead, live]) await nodes.register({ id, host: 'h', pid: 1 }, 600_000)
      await database.sql.exec('UPDATE piko_node SET expires_at = ?', [until])
      await database.sql.exec(...renewalOf(nodes.renewal(live, 600_000)))
      await nodes.shortenOdd()
      expect(told.splice(0)).toMatchObject([{ table: 'piko_node', key: `id = '${dead}'`, columns: ['expires_at'] }])
      expect(await nodes.expired()).toEqual([])
      now += 300_000
      await database.sql.exec(...renewalOf(nodes.renewal(live, 600_000)))
      now += 300_001
      expect((await nodes.expired()).map(({ id }) => id)).toEqual([dead])
      await nodes.remove([dead, live])
      const fence = (await locks.acquire('user:a', A, 1_000)) as number
      await database.sql.exec('UPDATE piko_lock SET expires_at = ?', [until])
      const lease = { maxMs: MAX_STORED_MS, shortenedMs: 5_000 }
      expect(await locks.acquire('user:a', B, 1_000, lease)).toBeUndefined()
      expect(told.splice(0)).toMatchObject([{ table: 'piko_lock', key: `name = 'user:a'` }])
      now += 5_001
      expect(await locks.acquire('user:a', B, 1_000, lease)).toBe(fence + 1)
      await locks.release('user:a', B, fence + 1)
    }
    expect(told).toEqual([])
  })

  it('is free immediately after a release, and only its owner can release it', async () => {
    const fence = (await store.locks.acquire('leader', A, 60_000)) as number
    await store.locks.release('leader', B, fence)
    expect(await store.locks.acquire('leader', B, 1_000)).toBeUndefined()
    await store.locks.release('leader', A, fence)
    expect(await store.locks.acquire('leader', B, 1_000)).toBe(fence + 1)
  })
})
