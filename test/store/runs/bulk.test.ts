import { CompiledQuery, type KyselyPlugin, type RootOperationNode } from 'kysely'
import { beforeEach, describe, expect, it } from 'vitest'
import { CancelStore } from '../../../src/store/runs/cancel-store.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { recoverRuns } from '../../../src/store/runs/recover-runs.ts'
import { ReplayStore } from '../../../src/store/runs/replay-store.ts'
import { type BeyondWalk, RetentionStore } from '../../../src/store/history/retention-store.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'

const RUNS = 8_000

/** The number of turns that the event loop had during the call. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let isOver = false
  const tick = (): void => {
    turns += 1
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  await work()
  isOver = true
  return turns
}

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  const enqueue = (count: number, jobId = 'job'): Promise<number[]> =>
    store.runs.enqueue(
      Array.from({ length: count }, (_, index) => ({ jobId, kind: 'manual', priority: 0, input: { index } })),
    )

  const pruneAll = async (jobId?: string): Promise<number> => {
    let count = 0
    for (let after: number | undefined = 0; after !== undefined;) {
      const step = await store.retention.step({ olderThanMs: 0, states: ['cancelled'], jobId }, after)
      count += step.count
      after = step.next
    }
    return count
  }

  it('gives the event loop turns while many runs are stored, cancelled, replayed and deleted', async () => {
    expect(await turnsDuring(() => enqueue(RUNS))).toBeGreaterThan(1)
    expect(await turnsDuring(() => store.cancels.request({}))).toBeGreaterThan(1)
    expect(await turnsDuring(() => store.replays.replay({ jobId: 'job', state: 'cancelled' }))).toBeGreaterThan(1)
    expect(await turnsDuring(() => store.cancels.request({ jobId: 'job' }))).toBeGreaterThan(1)
    expect(await turnsDuring(() => pruneAll())).toBeGreaterThan(1)
  })

  it('reaches each run of each job once, however far apart their ids are', async () => {
    const [first = 0] = await enqueue(1, 'a')
    await database.db
      .updateTable('piko_run')
      .set({ id: first + 25_000 })
      .where('id', '=', first)
      .execute()
    await enqueue(700, 'a')
    await enqueue(700, 'b')
    expect(await store.cancels.request({})).toEqual({ cancelled: 1_401, requested: 0 })
    expect(await store.replays.preview({ state: 'cancelled' })).toEqual({ count: 1_401, superseded: 0 })
    expect(await store.replays.preview({ jobId: 'a', state: 'cancelled' })).toEqual({ count: 701, superseded: 0 })
    expect(await store.replays.replay({ jobId: 'a', state: 'cancelled' })).toEqual({ count: 701, superseded: 0 })
    expect(await store.replays.replay({ state: 'cancelled' })).toEqual({ count: 700, superseded: 0 })
    expect(await store.replays.replay({ state: 'cancelled' })).toEqual({ count: 0, superseded: 0 })
    expect(await store.cancels.request({ jobId: 'b' })).toEqual({ cancelled: 700, requested: 0 })
    expect(await pruneAll('a')).toBe(0)
    expect(await pruneAll('b')).toBe(700)
  })

  it('gives the event loop turns while a long ledger and many runs are read', async () => {
    const count = 20_000
    const digits =
      '(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)'
    const number = 'a.d + 10 * b.d + 100 * c.d + 1000 * e.d'
    for (const [tenThousand, day] of [
      [0, '2024-01-01'],
      [10_000, '2025-01-01'],
    ] as const) {
      const at = (more: number): string =>
        fixture.name === 'sqlite'
          ? `strftime('%Y-%m-%dT%H:%M:%fZ', '${day}', '+' || (${number} + ${more}) || ' minutes')`
          : `DATE_ADD('${day}', INTERVAL ${number} + ${more} MINUTE)`
      await database.sql.exec(
        `INSERT INTO piko_window (job_id, start_at, end_at, state, updated_at)
        SELECT 'long', ${at(0)}, ${at(1)}, CASE WHEN (${number}) % 2 = 0 THEN 'succeeded' ELSE 'failed' END, ${at(0)}
        FROM ${digits} a, ${digits} b, ${digits} c, ${digits} e WHERE ${tenThousand} >= 0`,
      )
    }
    let spans = 0
    const turns = await turnsDuring(async () => {
      spans = (await store.windows.coverage('long', { limit: 2 * count })).length
    })
    // A missing window lies between the two.
    expect(spans).toBe(count + 1)
    expect(turns).toBeGreaterThan(3)
    let listed = 0
    const listTurns = await turnsDuring(async () => {
      listed = (await store.windows.list('long', { limit: count })).length
    })
    expect(listed).toBe(count)
    expect(listTurns).toBeGreaterThan(0)
    await enqueue(RUNS)
    expect(await turnsDuring(() => store.runs.list({ limit: RUNS }))).toBeGreaterThan(0)
  })

  it('keeps the newest runs of each job, and all that have not ended', async () => {
    await enqueue(1_500, 'a')
    const rare = await enqueue(3, 'b')
    await enqueue(1_500, 'a')
    const open = await enqueue(2, 'a')
    await store.cancels.request({ jobId: 'b' })
    await store.cancels.request({ jobId: 'a' })
    await store.replays.replay({ ids: open })
    let count = 0
    let steps = 0
    for (let walk: BeyondWalk | undefined, isOver = false; !isOver; steps += 1) {
      const step = await store.retention.beyond(2, walk)
      count += step.count
      walk = step.walk
      isOver = walk === undefined
    }
    expect(count).toBe(2_998 + 1)
    expect(steps).toBe(4)
    expect((await store.runs.list({ jobId: 'b' })).map(({ id }) => id)).toEqual(rare.slice(1).toReversed())
    const kept = await store.runs.list({ jobId: 'a' })
    expect(kept.map(({ state }) => state)).toEqual(['queued', 'queued', 'cancelled', 'cancelled'])
  })

  it('reaches the few runs of a job in a long history in few steps', async () => {
    await enqueue(1, 'rare')
    const other = await enqueue(RUNS, 'other')
    const [last = 0] = await enqueue(1, 'rare')
    await database.db
      .updateTable('piko_run')
      .set({ id: last + 1_000_000 })
      .where('id', '=', last)
      .execute()
    await store.cancels.request({ jobId: 'rare' })
    await store.cancels.request({ ids: other.slice(0, 10) })
    let steps = 0
    let count = 0
    for (let after: number | undefined = 0; after !== undefined; steps += 1) {
      const step = await store.retention.step({ olderThanMs: 0, states: ['cancelled'], jobId: 'rare' }, after)
      count += step.count
      after = step.next
    }
    expect(count).toBe(2)
    expect(steps).toBeLessThan(6)
  })

  it('accepts more named runs than fit into one statement', async () => {
    const real = await enqueue(3)
    const named = [...Array.from({ length: 40_000 }, (_, index) => 10_000_000 + index), ...real, ...real]
    expect(await store.cancels.request({ ids: named })).toEqual({ cancelled: 3, requested: 0 })
    expect(await store.replays.preview({ ids: named })).toEqual({ count: 3, superseded: 0 })
    expect(await store.replays.replay({ ids: named })).toEqual({ count: 3, superseded: 0 })
    expect(await store.cancels.request({ ids: [] })).toEqual({ cancelled: 0, requested: 0 })
    expect(await store.replays.replay({ ids: [] })).toEqual({ count: 0, superseded: 0 })
  })

  it('finds the runs of lost nodes by the index of running runs, whatever the history', async () => {
    const { asked, plugin } = recorded()
    await recoverRuns({ ...database, db: database.db.withPlugin(plugin) }, 10, undefined, new Set(), 0)
    const [first] = asked
    if (!first) throw new Error('nothing was asked')
    const { sql, parameters } = database.db.getExecutor().compileQuery(first, { queryId: 'explain' })
    const explain = fixture.name === 'sqlite' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN'
    const { rows } = await database.db.executeQuery(CompiledQuery.raw(`${explain} ${sql}`, [...parameters]))
    expect(JSON.stringify(rows[0])).toMatch(/run_running|run_queue/)
  })

  if (fixture.name === 'sqlite')
    describe('the statements that search for a batch', () => {
      it.each([
        ['cancel', (db: Database) => new CancelStore(db).request({})],
        ['cancel of a job', (db: Database) => new CancelStore(db).request({ jobId: 'job' })],
        ['replay', (db: Database) => new ReplayStore(db).replay({})],
        ['replay of a job', (db: Database) => new ReplayStore(db).replay({ jobId: 'job', state: 'cancelled' })],
        ['prune', (db: Database) => new RetentionStore(db).step({ olderThanMs: 0, states: ['failed'] }, 0)],
        [
          'prune of a job',
          (db: Database) => new RetentionStore(db).step({ olderThanMs: 0, states: ['failed'], jobId: 'job' }, 0),
        ],
        ['retention by number', (db: Database) => new RetentionStore(db).beyond(1)],
        [
          'retention by number, later',
          (db: Database) => new RetentionStore(db).beyond(1, { before: 9, met: new Map() }),
        ],
      ])('sort nothing: %s', async (_name, ask) => {
        await enqueue(10)
        const { asked: nodes, plugin } = recorded()
        await ask({ ...database, db: database.db.withPlugin(plugin) })
        expect(nodes.length).toBeGreaterThan(0)
        for (const node of nodes) {
          const { sql, parameters } = database.db.getExecutor().compileQuery(node, { queryId: 'explain' })
          if (!sql.startsWith('select')) continue
          const plan = await database.db.executeQuery<{ detail: string }>(
            CompiledQuery.raw(`EXPLAIN QUERY PLAN ${sql}`, [...parameters]),
          )
          expect(plan.rows.map(({ detail }) => detail).join('\n')).not.toMatch(
            // Applies to the runs themselves; the runs of one batch may be sorted.
            /piko_run[^\n]*\n[^\n]*TEMP B-TREE FOR ORDER BY/,
          )
        }
      })
    })
})

/** A plugin that keeps the queries it sees. */
function recorded(): { readonly asked: RootOperationNode[]; readonly plugin: KyselyPlugin } {
  const asked: RootOperationNode[] = []
  const transformQuery: KyselyPlugin['transformQuery'] = ({ node }) => {
    asked.push(node)
    return node
  }
  return { asked, plugin: { transformQuery, transformResult: async ({ result }) => result } }
}
