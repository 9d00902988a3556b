import { type RawBuilder, type Selectable, sql, type SqlBool, type Transaction } from 'kysely'
import type { RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { BatchSliceTable, RunTable, Tables } from '../tables.ts'

/** Runs of a batch whose ids are evenly spaced. */
export interface Slice {
  readonly firstId: number
  readonly lastId: number
  /** The distance between two ids. It is more than 1 only if several servers assign ids. */
  readonly step: number
  readonly size: number
}

/** Splits ascending ids into slices. The ids of one statement are evenly spaced, so there are few slices. Pure. */
export function slicesOf(ids: readonly number[]): Slice[] {
  const slices: Slice[] = []
  for (let from = 0; from < ids.length;) {
    const first = ids[from] as number
    const step = (ids[from + 1] ?? first + 1) - first
    let to = from
    while (to + 1 < ids.length && ids[to + 1] === (ids[to] as number) + step) to++
    slices.push({ firstId: first, lastId: ids[to] as number, step, size: to - from + 1 })
    from = to + 1
  }
  return slices
}

export function sliceOf(row: Pick<Selectable<BatchSliceTable>, 'first_id' | 'last_id' | 'id_step' | 'size'>): Slice {
  return { firstId: row.first_id, lastId: row.last_id, step: row.id_step, size: row.size }
}

/** How many slices may contain the same range of ids. On a Galera cluster, those of several nodes alternate. */
const OVERLAPPING = 32

/** Selects the slices that may have one of these runs, without reading those of all older batches. @param runIds ascending ids */
export function slicesAround(db: Database['db'] | Transaction<Tables>, runIds: readonly number[]) {
  const [first = 0] = runIds
  const earliest = sql<number>`COALESCE((SELECT earlier.first_id FROM piko_batch_slice AS earlier
    WHERE earlier.first_id <= ${first} ORDER BY earlier.first_id DESC LIMIT 1 OFFSET ${sql.lit(OVERLAPPING)}), 0)`
  return db
    .selectFrom('piko_batch_slice')
    .where('first_id', '>=', earliest)
    .where('first_id', '<=', runIds.at(-1) ?? 0)
    .where('last_id', '>=', first)
}

export function hasRun(
  row: Pick<Selectable<BatchSliceTable>, 'first_id' | 'last_id' | 'id_step'>,
  runId: number,
): boolean {
  return runId >= row.first_id && runId <= row.last_id && (runId - row.first_id) % row.id_step === 0
}

/** Selects the runs of a slice by primary key. */
export function runsOfSlice({ dialect }: Pick<Database, 'dialect'>, db: Database['db'], slice: Slice) {
  const hint = dialect.name === 'sqlite' ? dialect.byPrimaryKey : dialect.forceIndex('PRIMARY')
  return db.selectFrom(sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${hint}`)).where(isIn(slice))
}

function isIn({ firstId, lastId, step }: Slice): RawBuilder<SqlBool> {
  const range = sql<SqlBool>`id BETWEEN ${sql.lit(firstId)} AND ${sql.lit(lastId)}`
  return step === 1 ? range : sql<SqlBool>`(${range} AND (id - ${sql.lit(firstId)}) % ${sql.lit(step)} = 0)`
}

/** Counts a slice's runs by state. Deleted runs are not included. */
export async function statesOf(
  database: Pick<Database, 'dialect'>,
  db: Database['db'],
  slice: Slice,
): Promise<Map<RunState, number>> {
  const rows = await runsOfSlice(database, db, slice)
    .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute()
  return new Map(rows.map(({ state, count }) => [state, Number(count)]))
}
