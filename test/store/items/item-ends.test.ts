import { beforeEach, expect, it } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import type { EndedItem } from '../../../src/store/items/end-items.ts'
import type { ItemStore } from '../../../src/store/items/item-store.ts'
import type { StateRequest } from '../../../src/store/items/leased-states.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((fixture) => {
  let database: Database
  let items: ItemStore

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
    items = storeOn(database).items
    const at = database.dialect.now()
    const row = {
      fence: 7,
      job_id: 'a',
      kind: 'page',
      lane_id: 1,
      state: 'running',
      priority: 0,
      depth: 0,
      scope: 7,
    } as const
    for (const id of [1, 2, 3]) {
      await database.db
        .insertInto('piko_item')
        .values({ ...row, id, claims: 1, node_id: 'one', due_at: at, print: `p${id}`, item_key: '', created_at: at })
        .execute()
    }
  })

  it('counts and tells an end once whose commit was answered late, and the ends beside it', async () => {
    await items.end('one', [ended(1, { to: 'done' }), ended(3, { to: 'skipped', reason: 'empty' })])

    const again = await items.end(
      'one',
      [1, 2, 3].map((id) => ended(id, id === 3 ? SKIPPED : { to: 'done' })),
    )

    expect([again.lost, again.earlier]).toEqual([new Set([1, 3]), new Set([1, 3])])
    const counts = await database.db.selectFrom('piko_item_count').select(['what', 'amount']).orderBy('what').execute()
    expect(counts.map(({ what, amount }) => `${what} ${Number(amount)}`)).toEqual([
      'bytes 30',
      'done 2',
      'ms 15',
      'skipped:empty 1',
    ])
    const taken = await items.end('two', [ended(2, { to: 'done' })])
    expect([taken.lost, taken.earlier]).toEqual([new Set([2]), new Set()])
  })

  it('leases states only to items that run, and takes those back that an ended item has left behind', async () => {
    expect(await items.leaseState(asking(1))).toMatchObject({ name: 'new1', value: null })
    expect(await items.leaseState({ ...asking(2), nodeId: 'two' })).toBe('lost')
    expect(await items.leaseState({ ...asking(2), claims: 2 })).toBe('lost')
    expect(await items.leaseState(asking(2))).toBeUndefined()

    await items.end('one', [ended(1, { to: 'done' })])
    expect(await items.leaseState(asking(2))).toMatchObject({ name: 'new1' })

    const state = { jobId: 'a', pool: 'session', name: 'new1', itemId: 2, claims: 1, value: undefined, errors: 0 }
    await items.end('one', [{ ...ended(2, { to: 'done' }), states: [{ ...state, isRetired: true }] }])
    expect(await items.leaseState({ ...asking(3), name: 'new1' })).toBe('retired')
    expect(await items.leaseState(asking(3))).toMatchObject({ name: 'new3', uses: 0 })
  })
})

const SKIPPED: EndedItem['end'] = { to: 'skipped', reason: 'empty' }

function ended(id: number, end: EndedItem['end']): EndedItem {
  return {
    held: { id, fence: 7, jobId: 'a', kind: 'page', claims: 1 },
    ...{
      end,
      added: [],
      left: new Map(),
      ms: 5,
      bytes: 10,
      lane: undefined,
      states: [],
      kept: undefined,
      hadKept: false,
    },
  }
}

function asking(itemId: number): StateRequest {
  const pool = { jobId: 'a', pool: 'session', size: 1, name: undefined }
  return { ...pool, nodeId: 'one', itemId, claims: 1, newName: `new${itemId}` }
}
