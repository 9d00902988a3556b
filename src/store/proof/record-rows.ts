import type { Transaction } from 'kysely'
import type { Claim } from '../../run/run.ts'
import type { FencedTable, TableRows } from '../../run/table-rows.ts'
import type { Window } from '../../time/window.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Finish } from '../runs/finish.ts'
import { bulkInsert, type Cell, columnsOf } from '../statements/bulk-insert.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { Tables } from '../tables.ts'

const COLUMNS = ['job_id', 'table_name', 'start_at', 'fence', 'row_count', 'checksum'] as const
const MAX_ROWS = 1_000
const REPLACE = {
  mysql: ' ON DUPLICATE KEY UPDATE fence = VALUES(fence), row_count = VALUES(row_count), checksum = VALUES(checksum)',
  sqlite:
    ' ON CONFLICT (job_id, table_name, start_at) DO UPDATE SET fence = excluded.fence, row_count = excluded.row_count, checksum = excluded.checksum',
} as const

interface Written extends TableRows {
  readonly claim: Claim
  readonly window: Window
}

/** Stores how many rows each succeeded claim wrote to fenced tables, in the transaction that ends the claim's window. */
export async function recordRows(
  trx: Transaction<Tables>,
  dialect: Dialect,
  finishes: readonly Finish[],
): Promise<void> {
  const written = finishes.flatMap(({ claim, transition }): Written[] => {
    const { window } = claim
    if (transition.to !== 'succeeded' || !transition.tables || !window) return []
    return transition.tables.map((one) => ({ ...one, claim, window }))
  })
  if (written.length === 0) return
  await recordTables(trx, dialect, written)
  const counted = written.filter(({ table }) => table.unproved === undefined)
  for (const chunk of chunksOf(counted, MAX_ROWS)) {
    const rows = chunk.map(({ claim: { jobId, fence }, table: { name }, window, rows: count, checksum }): Cell[] => [
      ...[jobId, name, dialect.instant(window.start), fence],
      count ?? null,
      checksum ?? null,
    ])
    await trx.executeQuery(bulkInsert(dialect, 'piko_window_rows', columnsOf(COLUMNS, rows), REPLACE[dialect.name]))
  }
}

/**
 * Layouts that earlier transactions have stored, by job and table. The dialect object is the key, because each open database has its own.
 */
const stored = new WeakMap<Dialect, Map<string, string>>()

async function recordTables(trx: Transaction<Tables>, dialect: Dialect, written: readonly Written[]): Promise<void> {
  const known = stored.get(dialect) ?? new Map<string, string>()
  stored.set(dialect, known)
  const wanted = new Map(
    written.map(({ claim: { jobId }, table }) => [
      `${jobId}\n${table.name}`,
      { jobId, name: table.name, layout: layoutText(table) },
    ]),
  )
  const unknown = [...wanted].filter(([key, { layout }]) => known.get(key) !== layout)
  if (unknown.length === 0) return
  const rows = await trx
    .selectFrom('piko_job_table')
    .select(['job_id', 'table_name', 'layout'])
    .where(
      'job_id',
      'in',
      unknown.map(([, { jobId }]) => jobId),
    )
    .execute()
  const layouts = new Map(rows.map(({ job_id, table_name, layout }) => [`${job_id}\n${table_name}`, layout]))
  for (const [key, { jobId, name, layout }] of unknown) {
    const before = layouts.get(key)
    // The layout is cached only if an earlier transaction has stored it, because this transaction may be rolled back.
    if (before === layout) known.set(key, layout)
    else if (before === undefined) {
      const insert = trx.insertInto('piko_job_table').values({ job_id: jobId, table_name: name, layout })
      await dialect.insertIgnore(insert).execute()
    } else {
      await trx
        .updateTable('piko_job_table')
        .set({ layout })
        .where('job_id', '=', jobId)
        .where('table_name', '=', name)
        .execute()
    }
  }
}

function layoutText({ name: _, ...layout }: FencedTable): string {
  return JSON.stringify(layout)
}
