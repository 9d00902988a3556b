import { type Compilable, sql } from 'kysely'
import { beforeAll, expect, it } from 'vitest'
import type { Database } from '../../src/store/connection/database.ts'
import { pageOfItems } from '../../src/store/items/page-of-items.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { describeEachStore } from '../support/databases.ts'
import { fillStore, type ScaleStore } from '../support/scale/scale-store.ts'

const RUNS = 20_000
const DAY_MS = 86_400_000

interface Sent {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** The tables with many rows. The others have some hundred rows at most. */
const LARGE = new Set(
  [
    'run',
    'window',
    'attempt',
    'run_log',
    'backfill',
    'batch',
    'batch_slice',
    'audit',
    'event',
    'dead_row',
    'item',
    'lane',
  ]
    .concat('lock', 'rate', 'shared', 'token')
    .map((name) => `piko_${name}`),
)

/** Reads that must go through a table, with the reason. Each of them has a limit of rows. */
const SCANS: Readonly<Record<string, string>> = {
  runs: 'the newest ones, in the order of the primary key',
  'runs succeeded': 'most of the runs have succeeded, so a part of the primary key is read',
  'runs of a kind': 'a part of the primary key, for a limited time',
  'runs of a week': 'a part of the primary key',
  'log lines of a level': 'the lines of one run',
  audit: 'the newest ones, in the order of the primary key',
  backfills: 'the newest ones, in the order of the primary key',
  batches: 'the newest ones, in the order of the primary key',
  lanes: 'the first ones, in the order of the primary key',
  tokens: 'the newest ones, in the order of the primary key',
  locks: 'the first ones, in the order of the primary key',
  'shared values': 'the first ones, in the order of the primary key',
  'dead rows': 'the oldest ones, in the order of the primary key',
}

/** Reads the first or the last id of all runs. */
const END_OF_IDS = /^select .id. from .piko_run. order by .id.( asc| desc)? limit \?$/
/** These indexes have only the runs in one state, so a count or a limited read of them needs no other condition. */
const OF_ONE_STATE = /USING (COVERING )?INDEX run_(queue|queued|running|failed)\b/

/** Every list, filter, grid and summary, as calls of the store. */
function readsOf(store: Store, { busyJob, fullRun, begin, end }: ScaleStore) {
  const from = new Date(end.getTime() - 20 * DAY_MS)
  const to = new Date(end.getTime() - 10 * DAY_MS)
  const cells = Array.from({ length: 30 }, (_none, day) => new Date(begin.getTime() + day * DAY_MS))
  const reads: Record<string, () => Promise<unknown>> = {
    jobs: () => store.jobs.page({ search: '33' }),
    overview: () => store.jobs.activities([busyJob, 'rare'], 20),
    'overview by attention': () => store.jobs.pageByAttention({ limit: 100 }),
    runs: () => store.runs.page({}),
    'runs of a job': () => store.runs.page({ jobId: busyJob, state: 'failed' }),
    'runs succeeded of a job': () => store.runs.page({ jobId: busyJob, state: 'succeeded', before: RUNS / 2 }),
    'runs of a rare job': () => store.runs.page({ jobId: 'rare' }),
    'runs queued': () => store.runs.page({ state: 'queued' }),
    'runs running': () => store.runs.page({ state: 'running' }),
    'runs failed': () => store.runs.page({ state: 'failed', error: 'ETIMEDOUT' }),
    'runs succeeded': () => store.runs.page({ state: 'succeeded' }),
    'runs of a kind': () => store.runs.page({ kind: 'backfill' }),
    'runs of a week': () => store.runs.page({ from, to }),
    summary: () => store.runs.summary(),
    'log lines': () => store.runLogs.list(fullRun, { limit: 100, after: 500 }),
    'log lines of a level': () => store.runLogs.list(fullRun, { limit: 100, level: 'error' }),
    windows: () => store.windows.list(busyJob, { from, limit: 100 }),
    'failed windows': () => store.windows.list(busyJob, { state: 'failed', limit: 100 }),
    coverage: () => store.windows.coverage(busyJob, { from, limit: 100 }),
    'window summary': () => store.windows.summary(busyJob, { newest: 100 }),
    grid: () => store.windows.grid([busyJob, 'job-0000001'], { start: begin, end, by: 'day', cells }),
    backfills: () => store.backfills.list({ limit: 100 }),
    'backfills of a job': () => store.backfills.list({ jobId: busyJob, limit: 100 }),
    batches: () => store.batches.list({ limit: 100 }),
    'batches of a job': () => store.batches.list({ jobId: busyJob, limit: 100 }),
    audit: () => store.audit.list({ limit: 100 }),
    'audit of a job': () => store.audit.list({ jobId: busyJob, limit: 100 }),
    'audit of a verb': () => store.audit.list({ verb: 'jobs.pause', limit: 100 }),
    'audit of a person': () => store.audit.list({ actor: 'person-0000003', limit: 100 }),
    'dead rows': () => store.deadRows.list({}, 100),
    'dead rows of a sink': () => store.deadRows.list({ sink: 'sink-0000001' }, 100),
    items: () => store.items.list(fullRun, { limit: 100, after: 500 }),
    'dead items': () => store.items.list(fullRun, { limit: 100, state: 'dead' }),
    'items of a lane': () => store.items.list(fullRun, { limit: 100, lane: 'host-0000005' }),
    nodes: () => store.nodes.overview(),
    'running of nodes': () => store.nodes.running(),
    locks: () => store.locks.held('user:', 100, 'lock-0000300'),
    tokens: () => store.tokens.list({ limit: 100 }),
    'shared values': () => store.shared.list(100),
  }
  return reads
}

describeEachStore((fixture) => {
  let database: Database
  let filled: ScaleStore

  beforeAll(async () => {
    database = await fixture.open()
    await fixture.empty()
    filled = await fillStore(database, { runs: RUNS, windows: RUNS / 2 })
  })

  /** The statements that a call sends. */
  const sentBy = async (work: (store: Store) => Promise<unknown>): Promise<readonly Sent[]> => {
    const sent: Sent[] = []
    const db = database.db.withPlugin({
      transformQuery: ({ node, queryId }) => {
        sent.push(database.db.getExecutor().compileQuery(node, queryId))
        return node
      },
      transformResult: ({ result }) => Promise.resolve(result),
    })
    await work(storeOn(Object.create(database, { db: { value: db } }) as Database))
    return sent.filter(({ sql: text }) => /^\s*\(?\s*(select|with)/i.test(text) && !END_OF_IDS.test(text))
  }

  /** What is wrong with the plan of a statement. */
  const faultsOf = async ({ sql: text, parameters }: Sent): Promise<readonly string[]> => {
    if (database.dialect.name === 'mysql') {
      const rows = await database.sql.query<Plan>(`EXPLAIN ${text}`, parameters as never)
      return rows.flatMap(({ table, type, rows: read, Extra: extra }) => {
        const name = /^(?:one|next|later|numbers)$/.test(table ?? '') ? 'piko_window' : (table ?? '')
        const isWhole = type === 'ALL' || (type === 'index' && Number(read) > 3_000)
        return LARGE.has(name) && isWhole ? [`${name}: ${type} of ${read} rows, ${extra ?? ''}`] : []
      })
    }
    const rows = await database.sql.query<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, parameters as never)
    return rows.flatMap(({ detail }) => {
      const table = /^SCAN (\w+)/.exec(detail)?.[1] ?? ''
      const name = table === 'one' && !detail.includes('VIRTUAL') ? 'piko_window' : table
      return LARGE.has(name) && !OF_ONE_STATE.test(detail) ? [detail] : []
    })
  }

  it('finds what each list, filter, grid and summary needs by an index, or reads a limited part of a table', async () => {
    const names = Object.keys(readsOf(storeOn(database), filled))
    const found: Record<string, readonly string[]> = {}
    for (const name of names) {
      const sent = await sentBy((store) => readsOf(store, filled)[name]?.() ?? Promise.resolve())
      expect([name, sent.length > 0]).toEqual([name, true])
      const unlimited = name in SCANS ? sent.filter(({ sql: text }) => !/limit|between|>=/i.test(text)) : sent
      const faults = (await Promise.all(unlimited.map(faultsOf))).flat()
      if (faults.length > 0) found[name] = faults
    }
    expect(found).toEqual({})
  })

  it('a plan without an index is a fault', async () => {
    const query: Compilable = database.db.selectFrom('piko_run').selectAll().where('reason', '=', 'x')
    expect(await faultsOf(query.compile())).toHaveLength(1)
    const indexed: Compilable = database.db
      .selectFrom('piko_window')
      .select(sql`1`.as('one'))
      .where('run_id', '=', 1)
    expect(await faultsOf(indexed.compile())).toEqual([])
  })

  it('pages through the items of all generations in order, whatever the filter', async () => {
    const change = (text: string): Promise<unknown> => sql.raw(text).execute(database.db)
    await change(`UPDATE piko_item SET fence = 65538 WHERE id % 3 = 0`)
    await change(
      `INSERT INTO piko_item_run (fence, run_id, job_id, created_at) SELECT 65538, run_id, job_id, created_at FROM piko_item_run`,
    )
    await change(`UPDATE piko_item SET lane_id = 7 WHERE id % 5 = 0`)
    await change(`UPDATE piko_item SET kind = 'image' WHERE id % 7 = 0`)
    const some = [
      { filter: {}, where: '1 = 1' },
      { filter: { state: 'queued' }, where: `state = 'queued'` },
      { filter: { kind: 'image' }, where: `kind = 'image'` },
      { filter: { lane: 'host-0000006' }, where: 'lane_id = 7' },
      {
        filter: { lane: 'host-0000006', kind: 'image', state: 'dead' },
        where: `lane_id = 7 AND kind = 'image' AND state = 'dead'`,
      },
      { filter: { lane: 'unknown' }, where: '1 = 0' },
    ] as const
    for (const { filter, where } of some) {
      const rows = await database.sql.query<{ id: number }>(`SELECT id FROM piko_item WHERE ${where} ORDER BY id`, [])
      // A lane with few items is read by another index than one with many.
      for (const maxSorted of [0, 5_000]) {
        const found: number[] = []
        for (let after: number | undefined = 0; after !== undefined;) {
          const page: number[] = await pageOfItems(
            database,
            filled.fullRun,
            { ...filter, after, limit: 500 },
            maxSorted,
          )
          found.push(...page)
          after = page.length === 500 ? page.at(-1) : undefined
        }
        expect([filter, found]).toEqual([filter, rows.map(({ id }) => id)])
      }
    }
  })
})

interface Plan extends Record<string, unknown> {
  readonly table: string | null
  readonly type: string | null
  readonly rows: number | null
  readonly Extra: string | null
}
