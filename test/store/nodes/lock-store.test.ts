import { beforeEach, expect, it } from 'vitest'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

const A = '00000000-0000-4000-8000-00000000000a'
const B = '00000000-0000-4000-8000-00000000000b'

describeEachStore((fixture) => {
  let store: Store
  let now: number

  beforeEach(async () => {
    now = Date.parse('2026-03-01T12:00:00.000Z')
    store ??= storeOn(await fixture.open({ clock: { now: () => now } }))
    await fixture.empty()
  })

  it('gives a lock to one of many that ask at the same moment', async () => {
    const owners = Array.from({ length: 8 }, (_, index) => `00000000-0000-4000-8000-00000000001${index}`)
    const fences = await Promise.all(owners.map((owner) => store.locks.acquire('leader', owner, 1_000)))
    expect(fences.filter((fence) => fence !== undefined)).toHaveLength(1)
  })

  it('W17: keeps the fence on renewal and raises it with a new owner', async () => {
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

  it('is free at once after a release, and only its owner can release it', async () => {
    const fence = (await store.locks.acquire('leader', A, 60_000)) as number
    await store.locks.release('leader', B, fence)
    expect(await store.locks.acquire('leader', B, 1_000)).toBeUndefined()
    await store.locks.release('leader', A, fence)
    expect(await store.locks.acquire('leader', B, 1_000)).toBe(fence + 1)
  })
})
