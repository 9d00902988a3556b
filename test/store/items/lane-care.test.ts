import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { KeptBytes } from '../../../src/engine/items/kept-bytes.ts'
import { LaneSpeeds } from '../../../src/engine/items/measures/lane-speeds.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import type { ItemStore } from '../../../src/store/items/item-store.ts'
import { laneKey } from '../../../src/store/items/lane-rows.ts'
import { insertItems } from '../../../src/store/items/new-item.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

const DAY_MS = 86_400_000

describeEachStore((fixture) => {
  let database: Database
  let items: ItemStore

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
    items = storeOn(database).items
  })

  const ensure = async (...names: string[]): Promise<number[]> => {
    const lanes = names.map((name) => ({ scope: 'job', name, rate: { limit: 10, perMs: 1_000 }, parallel: undefined }))
    const ids = await items.ensureLanes(lanes)
    return lanes.map(({ scope, name }) => ids.get(laneKey(scope, name)) ?? 0)
  }
  const queue = async (laneId: number, key: string): Promise<number> => {
    const item = { fence: 1, jobId: 'job', kind: 'page', laneId, priority: 0, dueAt: undefined, depth: 0, scope: 1 }
    const rest = { print: key, key, data: null, parentId: undefined, maxItems: undefined }
    await insertItems(database.db, database.dialect, [{ ...item, ...rest }])
    const row = await database.db
      .selectFrom('piko_item')
      .select('id')
      .where('print', '=', key)
      .executeTakeFirstOrThrow()
    return row.id
  }
  const names = async (): Promise<string[]> => (await items.lanes({})).map(({ name }) => name)

  it('deletes lanes that nobody has used for a week, and keeps those with items, paused ones and looked-up ones', async () => {
    const [, withItem = 0, , , note = 0] = await ensure('idle', 'used', 'paused', 'again', 'noted')
    await queue(withItem, 'one')
    await items.pauseLanes({ name: 'paused', isPaused: true })
    await items.saveNote(note, 'robots', { text: '', ttlMs: 1, delayMs: undefined })
    // From a version without the column: its use begins now.
    await ensure('old')
    await database.db.updateTable('piko_lane').set({ used_at: null }).where('name', '=', 'old').execute()
    expect(await items.forgetLanes(0)).toBe(0)
    expect((await names()).length).toBe(6)

    await database.db
      .updateTable('piko_lane')
      .set({ used_at: database.dialect.nowPlus(-8 * DAY_MS) })
      .where('name', '<>', 'old')
      .execute()
    await ensure('again')
    expect(await items.forgetLanes(0)).toBe(0)
    expect((await names()).toSorted()).toEqual(['again', 'old', 'paused', 'used'])
    expect(await database.db.selectFrom('piko_lane_note').selectAll().execute()).toEqual([])
    // One that comes back is a new lane.
    const [idle = 0] = await ensure('idle')
    expect(idle).toBeGreaterThan(note)
  })

  it('shows how fast the lanes are over all nodes, and slows one down once that answers slowly', async () => {
    const [slow = 0, steady = 0, other = 0] = await ensure('a', 'b', 'c')
    let now = 0
    const nodes = ['one', 'two'].map((id) => new LaneSpeeds({ store: items, nodeId: () => id, monotonic: () => now }))
    const round = async (ms: number, isLoopLate = false): Promise<void> => {
      for (const node of nodes) {
        for (let n = 0; n < 20; n++) {
          node.ended(slow, ms, true)
          node.ended(steady, ms, false)
        }
        node.ended(other, undefined, true)
      }
      now += 5_000
      for (const node of nodes) await node.store(isLoopLate)
    }
    const factorOf = async (id: number): Promise<number | undefined> =>
      (await items.lanes({})).find((lane) => lane.id === id)?.factor
    await round(100)
    expect(await items.lanes({})).toMatchObject([
      { perSecond: 8, p95Ms: 100, factor: 1, state: 'idle' },
      { perSecond: 8, p95Ms: 100, factor: 1 },
      { perSecond: 0.4, p95Ms: undefined, factor: 1 },
    ])
    // Twice as long, but not much; and much, while this process itself is late.
    await round(220)
    await round(900, true)
    expect(await factorOf(slow)).toBe(1)
    // Both nodes see it, and it is slowed once.
    await round(900)
    await round(900)
    expect([await factorOf(slow), await factorOf(steady)]).toEqual([0.8, 1])
    await database.db.updateTable('piko_lane').set({ successes: 20 }).execute()
    await round(900)
    expect(await factorOf(slow)).toBeCloseTo(0.64)

    await database.db
      .updateTable('piko_lane_speed')
      .set({ measured_at: database.dialect.nowPlus(-7_200_000) })
      .execute()
    expect((await items.lanes({}))[0]).toMatchObject({ perSecond: undefined, p95Ms: undefined })
    expect(await items.forgetSpeeds()).toBe(false)
    expect(await database.db.selectFrom('piko_lane_speed').selectAll().execute()).toEqual([])
  })

  it('deletes files of kept bytes that no item names, and no file of another database or of a moment ago', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-kept-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const keeping = (database: string): KeptBytes =>
      new KeptBytes({ store: items, folder, clock: systemClock, database: () => Promise.resolve(database) })
    const [lane = 0] = await ensure('lane')
    const ids = await Promise.all(['dead', 'done', 'fresh'].map((key) => queue(lane, key)))
    const bytes = (text: string): Uint8Array => Buffer.alloc(70_000, text)
    const [ours, others] = [keeping('aaaaaaaaaaaa'), keeping('bbbbbbbbbbbb')]
    const refs = await Promise.all(ids.map(async (id, index) => (await ours.keep(id, bytes(String(index))))?.ref))
    const [dead = 0] = ids
    const earlier = await ours.keep(dead, bytes('earlier'))
    const foreign = await others.keep(dead, bytes('0'))
    const gone = await ours.keep(999_999, bytes('gone'))
    await database.db
      .updateTable('piko_item')
      .set({ kept: refs[0] ?? null })
      .where('id', '=', dead)
      .execute()
    const files = async (): Promise<string[]> =>
      (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((one) => one.isFile())
        .map(({ name }) => name)
    const [first = ''] = await readdir(folder)
    await writeFile(join(folder, first, 'notes.txt'), 'mine')
    await writeFile(join(folder, first, `${refs[1]}.${crypto.randomUUID()}.tmp`), 'half')
    const old = new Date(Date.now() - 2 * DAY_MS)
    for (const { parentPath, name } of await readdir(folder, { recursive: true, withFileTypes: true }))
      if (name !== refs[2]) await utimes(join(parentPath, name), old, old)
    expect((await files()).length).toBe(8)

    expect(await keeping('aaaaaaaaaaaa').forgetSome()).toBe(false)
    expect((await files()).toSorted()).toEqual(['notes.txt', refs[0], refs[2], foreign?.ref].toSorted())
    expect(await ours.read(dead, refs[0])).toEqual(new Uint8Array(bytes('0')))
    expect([await ours.read(dead, earlier?.ref), await ours.read(999_999, gone?.ref)]).toEqual([undefined, undefined])
    expect(await ours.read(dead, '../../etc/passwd')).toBeUndefined()
  })
})
