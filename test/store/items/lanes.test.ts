import { beforeEach, expect, it } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import type { LanePlace } from '../../../src/item/lane.ts'
import { ItemStore } from '../../../src/store/items/item-store.ts'
import type { LanePlaceRequest } from '../../../src/store/items/places/lane-places.ts'
import type { NewItem } from '../../../src/store/items/new-item.ts'
import { insertItems } from '../../../src/store/items/new-item.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

const FENCE = 1_000_001

describeEachStore((fixture) => {
  let database: Database
  let items: ItemStore

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
    items = new ItemStore(database)
  })

  const lanes = async (...names: string[]): Promise<number[]> => {
    const ids = await items.ensureLanes(
      names.map((name) => ({ scope: 'job', name, rate: undefined, parallel: undefined })),
    )
    return [...ids.values()]
  }
  const parallelLane = async (parallel: number): Promise<number> => {
    const [id = 0] = (await items.ensureLanes([{ scope: 'job', name: 'few', rate: undefined, parallel }])).values()
    return id
  }
  const queue = async (laneId: number, key: string, dueAt?: Date): Promise<void> => {
    const item: NewItem = {
      ...{
        fence: FENCE,
        jobId: 'job',
        kind: 'page',
        laneId,
        priority: 0,
        dueAt,
        depth: 0,
        scope: FENCE,
        print: key,
        key,
      },
      ...{ data: null, parentId: undefined, maxItems: undefined },
    }
    await insertItems(database.db, database.dialect, [item])
  }
  const claim = (over: readonly number[] = []) =>
    items.claim({ nodeId: 'here', limit: 10, scopes: ['job'], jobIds: ['job'], leadMs: 0, monotonic: () => 0, over })
  const nextAt = async (laneId: number): Promise<number | undefined> => {
    const { next_at } = await database.db
      .selectFrom('piko_lane')
      .select('next_at')
      .where('id', '=', laneId)
      .executeTakeFirstOrThrow()
    return next_at === null ? undefined : database.dialect.date(next_at).getTime()
  }
  const open = async (): Promise<void> => {
    const [runId = 0] = await storeOn(database).runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0 }])
    await database.db
      .insertInto('piko_item_run')
      .values({ fence: FENCE, run_id: runId, job_id: 'job', created_at: database.dialect.now() })
      .execute()
  }
  const sweep = () => items.sweep({ nodeId: 'here', held: () => new Set(), unheldMs: 60_000, lostAttempts: 10 })

  it('claims nothing of a lane that another node has locked', async ({ skip }) => {
    if (database.dialect.name === 'sqlite') skip()
    const [lane = 0] = await lanes('acme')
    await queue(lane, 'one')
    await items.wakeLanes([lane])

    const claimed = await database.db.transaction().execute(async (trx) => {
      await trx.selectFrom('piko_lane').select('id').where('id', '=', lane).forUpdate().execute()
      return claim()
    })

    expect(claimed).toMatchObject({ claims: [], nextInMs: 20 })
    expect((await claim()).claims).toHaveLength(1)
  })

  it('takes only items of the named runs, and does not delay the lanes of others', async () => {
    const foreign = Array.from({ length: 40 }, (_none, n) => `foreign ${n}`)
    const ids = await lanes(...foreign, 'own')
    const own = ids.at(-1) ?? 0
    await open()
    for (const [index, laneId] of ids.slice(0, -1).entries()) await queue(laneId, `item ${index}`)
    const other = FENCE + 1
    const [runId = 0] = await storeOn(database).runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0 }])
    await database.db
      .insertInto('piko_item_run')
      .values({ fence: other, run_id: runId, job_id: 'job', created_at: database.dialect.now() })
      .execute()
    await queue(own, 'own')
    await database.db.updateTable('piko_item').set({ fence: other }).where('lane_id', '=', own).execute()
    await items.wakeLanes(ids)
    const before = await nextAt(ids[0] ?? 0)
    const request = { nodeId: 'here', limit: 10, scopes: ['job'], jobIds: ['job'], leadMs: 0, monotonic: () => 0 }
    expect((await items.claim({ ...request, runIds: [runId] })).claims.map(({ key }) => key)).toEqual(['own'])
    expect(await items.claim({ ...request, runIds: [runId] })).toEqual({
      ...{ claims: [], nextInMs: undefined, reading: undefined },
    })
    expect(await nextAt(ids[0] ?? 0)).toBe(before)
    expect((await items.claim(request)).claims).toHaveLength(10)
  })

  it('claims the next item of a full lane for one whose function has ended, although its end is not stored yet', async () => {
    const lane = await parallelLane(2)
    for (let n = 0; n < 5; n++) await queue(lane, `item ${n}`)
    const claimed = async (over?: readonly number[]): Promise<number[]> => {
      await items.wakeLanes([lane])
      return (await claim(over)).claims.map(({ id }) => id)
    }
    const [first = 0, second = 0] = await claimed()
    expect(await claimed()).toEqual([])
    expect(await claimed([first])).toHaveLength(1)
    expect(await claimed([first])).toEqual([])
    expect(await claimed([first, second])).toHaveLength(1)
    expect(await claimed([first, second])).toEqual([])
  })

  it('claims items ahead of a lane whose limit the slots of the node keep, unless another node has items of it', async () => {
    const lane = await parallelLane(2)
    for (let n = 0; n < 9; n++) await queue(lane, `item ${n}`)
    const request = { nodeId: 'here', limit: 3, scopes: ['job'], jobIds: ['job'], leadMs: 0, monotonic: () => 0 }
    const claimed = async (more: object): Promise<number> => {
      await items.wakeLanes([lane])
      return (await items.claim({ ...request, ...more })).claims.length
    }
    expect(await claimed({ slots: 3 })).toBe(2)
    expect([await claimed({ slots: 2 }), await claimed({ slots: 2 })]).toEqual([3, 3])
    expect(await claimed({ slots: 2, nodeId: 'there' })).toBe(0)
    await database.db.updateTable('piko_item').set({ state: 'done' }).where('node_id', '=', 'here').execute()
    expect(await claimed({ slots: 3, limit: 1, nodeId: 'there' })).toBe(1)
    for (let n = 0; n < 9; n++) await queue(lane, `later ${n}`)
    expect(await claimed({ slots: 2 })).toBe(1)
  })

  it('claims no more of a lane that fails than would open its breaker, beside items that run for long', async () => {
    const [lane = 0] = await lanes('acme')
    for (let n = 0; n < 12; n++) await queue(lane, `item ${n}`)
    const update = (values: { readonly failures: number }): Promise<unknown> =>
      database.db.updateTable('piko_lane').set(values).where('id', '=', lane).execute()
    await update({ failures: 7 })
    await items.wakeLanes([lane])
    expect((await claim()).claims).toHaveLength(3)
    await items.wakeLanes([lane])
    expect((await claim()).claims).toHaveLength(0)
    const long = database.dialect.nowPlus(-3_600_000)
    await database.db.updateTable('piko_item').set({ started_at: long }).where('state', '=', 'running').execute()
    await update({ failures: 9 })
    await items.wakeLanes([lane])
    expect((await claim()).claims).toHaveLength(1)
    await update({ failures: 0 })
    await items.wakeLanes([lane])
    expect((await claim()).claims).toHaveLength(8)
  })

  it('wakes a lane that a claim has locked, once the claim has set it to rest', async ({ skip }) => {
    if (database.dialect.name === 'sqlite') skip()
    const [one = 0, two = 0] = await lanes('one', 'two')
    await items.wakeLanes([one, two])
    let waking: Promise<void> | undefined

    await database.db.transaction().execute(async (trx) => {
      await trx.selectFrom('piko_lane').select('id').where('id', 'in', [one, two]).forUpdate().execute()
      waking = items.wakeLanes([one, two])
      // It waits for the lock, or has passed over both lanes by now.
      await Promise.race([waking, untilSomeoneWaits(database)])
      await trx.updateTable('piko_lane').set({ next_at: null }).execute()
    })
    await waking

    expect([await nextAt(one), await nextAt(two)]).toEqual([expect.any(Number), expect.any(Number)])
  })

  it('wakes lanes that wait for a later item although one is due', async () => {
    await open()
    const [late = 0, right = 0, broken = 0] = await lanes('late', 'right', 'broken')
    const inAnHour = Date.now() + 3_600_000
    for (const lane of [late, right, broken]) await queue(lane, `later ${lane}`, new Date(inAnHour))
    await queue(late, 'due')
    await queue(broken, 'due too')
    const next = database.dialect.instant(new Date(inAnHour))
    await database.db.updateTable('piko_lane').set({ next_at: next }).execute()
    await database.db.updateTable('piko_lane').set({ open_until: next }).where('id', '=', broken).execute()

    await sweep()

    expect(await nextAt(late)).toBeLessThan(inAnHour - 3_000_000)
    expect([await nextAt(right), await nextAt(broken)]).toEqual([inAnHour, inAnHour])
  })

  it('looks at all open generations in turn, however many there are', async () => {
    const count = 501
    const [run = 0] = await storeOn(database).runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0 }])
    const at = database.dialect.now()
    const rows = Array.from({ length: count }, (_, n) => ({
      ...{ fence: run * 1_000_000 + n, run_id: run, job_id: 'job', created_at: at },
    }))
    for (let from = 0; from < count; from += 100)
      await database.db
        .insertInto('piko_item_run')
        .values(rows.slice(from, from + 100))
        .execute()
    const [lane = 0] = await lanes('acme')
    const last = rows.at(-1)?.fence ?? 0
    await queue(lane, 'lost')
    await database.db
      .updateTable('piko_item')
      .set({ fence: last, state: 'running', node_id: 'dead', claims: 1 })
      .execute()

    const first = await sweep()
    const second = await items.sweep({
      ...{ nodeId: 'here', held: () => new Set<number>(), unheldMs: 60_000, lostAttempts: 10 },
      checkedFence: first.checkedFence,
    })

    expect([first.recovered, second.recovered, second.checkedFence]).toEqual([0, 1, 0])
  })

  it('claims nothing of a lane that was resumed during its wait, or the pause of its breaker', async () => {
    const [waiting = 0, broken = 0] = await lanes('waiting', 'broken')
    const inAnHour = Date.now() + 3_600_000
    const until = database.dialect.instant(new Date(inAnHour))
    for (const lane of [waiting, broken]) await queue(lane, `item ${lane}`)
    await database.db.updateTable('piko_lane').set({ free_at: until }).where('id', '=', waiting).execute()
    await database.db.updateTable('piko_lane').set({ open_until: until }).where('id', '=', broken).execute()

    for (const name of ['waiting', 'broken']) await items.pauseLanes({ name, isPaused: false })
    expect([await nextAt(waiting), await nextAt(broken)]).toEqual([inAnHour, inAnHour])

    // A claim that looks at them all the same leaves them alone.
    await database.db
      .updateTable('piko_lane')
      .set({ next_at: database.dialect.instant(new Date(0)) })
      .execute()
    expect((await claim()).claims).toEqual([])
    expect([await nextAt(waiting), await nextAt(broken)]).toEqual([inAnHour - 100, inAnHour - 100])
  })

  it('gives each request the next place of a lane, and the time of an unused place again unless a later one is taken', async () => {
    const rate = { limit: 10, perMs: 1_000 }
    const limited = [{ scope: 'job', name: 'limited', rate, parallel: undefined }]
    const [laneId = 0] = (await items.ensureLanes(limited)).values()
    const [other = 0] = await lanes('free')
    const request = { laneId, unused: undefined, graceMs: 0, leadMs: 0, patienceMs: 10_000 }
    const clock = { monotonic: () => 0, read: () => 0 }
    const take = async (...wishes: readonly LanePlaceRequest[]): Promise<LanePlace[]> =>
      (await items.takePlaces(wishes, clock)).filter((answer) => typeof answer === 'object')

    const [first, second] = await take(request, request)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBe(103)
    const [instead] = await take({ ...request, unused: second })
    expect(instead?.at).toBe(second?.at)
    const [later] = await take({ ...request, unused: first })
    expect((later?.at ?? 0) - (instead?.at ?? 0)).toBe(103)
    const [graced, next] = await take({ ...request, graceMs: 500 }, request)
    expect((next?.at ?? 0) - (graced?.at ?? 0)).toBe(603)
    expect(graced?.lateMs).toBe(522.5)

    const answers = await items.takePlaces(
      [
        { ...request, patienceMs: 1 },
        { ...request, laneId: other },
      ],
      clock,
    )
    expect(answers).toEqual(['later', 'free'])
    await items.pauseLanes({ name: 'limited', isPaused: true })
    expect(await items.takePlaces([request], clock)).toEqual(['later'])
  })

  it('leaves out lanes that can not be read, and claims of the others', async () => {
    const [broken = 0, endless = 0, fine = 0] = await lanes('broken', 'endless', 'fine')
    for (const lane of [broken, endless, fine]) await queue(lane, `item ${lane}`)
    await items.wakeLanes([broken, endless, fine])
    await database.db.updateTable('piko_lane').set({ rate_limit: 0, rate_ms: 1 }).where('id', '=', endless).execute()
    if (database.dialect.name === 'sqlite')
      await database.db.updateTable('piko_lane').set({ free_at: 'soon' }).where('id', '=', broken).execute()

    const { claims } = await claim()

    const expected = database.dialect.name === 'sqlite' ? ['fine'] : ['broken', 'fine']
    expect(claims.map(({ lane }) => lane.name)).toEqual(expected)
    expect(await nextAt(endless)).toBeUndefined()
  })

  it('tells lanes apart that differ by trailing spaces', async () => {
    const ids = await lanes('acme', 'acme ')

    expect(new Set(ids).size).toBe(2)
    expect((await items.lanes({ scope: 'job' })).map(({ name }) => name).toSorted()).toEqual(['acme', 'acme '])
    expect(await items.pauseLanes({ name: 'acme ', isPaused: true })).toBe(1)
  })
})

/**
 * Waits until a statement on lanes is being executed: it waits for the lock. INNODB_TRX would not show it, because the server only renews
 * that table after no one has read it for 100 ms.
 */
async function untilSomeoneWaits(database: Database): Promise<void> {
  for (;;) {
    const rows = await database.sql.query(
      `SELECT id FROM information_schema.processlist
       WHERE db = DATABASE() AND id <> CONNECTION_ID() AND command IN ('Query', 'Execute') AND info LIKE 'update%piko_lane%'`,
    )
    if (rows.length > 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
