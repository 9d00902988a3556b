import { type Selectable, sql, type Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import type { LaneTable } from './item-tables.ts'
import { LANE_COLUMNS, type LaneState, readableLane } from './lane-rows.ts'

/** The maximum number of lanes that one claim reads. */
const MAX_CLAIMED_LANES = 32
/** How long to wait before trying a due lane again that another claim has locked. */
const LOCKED_MS = 20

/** Which lanes a claim reads. */
export interface LaneChoice {
  /** The scopes that this node has code for. */
  readonly scopes: readonly string[]
  /** Only lanes with queued items of these runs. */
  readonly runIds?: readonly number[]
}

/** The due lanes that the claim has locked. */
export interface DueLanes {
  /** The time of the database's clock, in milliseconds since 1970. */
  readonly now: number
  readonly lanes: readonly LaneState[]
}

/** Locks due lanes, except those that others have locked. Undefined if there are none. */
export async function lockLanes(
  trx: Transaction<Tables>,
  dialect: Dialect,
  which: LaneChoice,
): Promise<DueLanes | undefined> {
  const rows = await lanesInOrder(trx, dialect, which)
    .where('next_at', '<=', dialect.now())
    .limit(MAX_CLAIMED_LANES)
    .modifyEnd(dialect.forUpdateSkipLocked)
    .execute()
  const [first] = rows
  if (!first) return undefined
  const lanes = rows.flatMap((row) => readableLane(row, dialect) ?? [])
  if (lanes.length < rows.length) {
    const known = new Set(lanes.map(({ id }) => id))
    const ids = rows.filter(({ id }) => !known.has(id)).map(({ id }) => id)
    // A person has edited these rows. If they stayed due, they would always come first, and no claim would reach the other lanes.
    await trx.updateTable('piko_lane').set({ next_at: null }).where(dialect.isAmong(ids)).execute()
  }
  return { now: dialect.date(first.now).getTime(), lanes }
}

/**
 * Returns the milliseconds until the next lane is due; undefined if none is. If a lane is already due, another claim has locked it, and a
 * short wait is returned.
 */
export async function nextInMs(
  trx: Transaction<Tables>,
  dialect: Dialect,
  which: LaneChoice,
): Promise<number | undefined> {
  const [next] = await lanesInOrder(trx, dialect, which).where('next_at', 'is not', null).limit(1).execute()
  const nextAt = next && readableMs(next.next_at, dialect)
  if (!next || nextAt === undefined) return undefined
  const ms = nextAt - dialect.date(next.now).getTime()
  return ms > 0 ? ms : LOCKED_MS
}

function lanesInOrder(trx: Transaction<Tables>, dialect: Dialect, { scopes, runIds }: LaneChoice) {
  const byNext = sql<Selectable<LaneTable>>`piko_lane`.as<'piko_lane'>(sql`piko_lane${dialect.forceIndex('lane_next')}`)
  return trx
    .selectFrom(byNext)
    .select(LANE_COLUMNS)
    .select(dialect.now().as('now'))
    .where('scope', 'in', [...scopes])
    .$if(runIds !== undefined, (query) => query.where(withItemsOf(runIds ?? [])))
    .orderBy('next_at')
    .orderBy('id')
}

/** Returns the condition for the items of some runs. */
export function ofRuns(runIds: readonly number[]) {
  const ids = sql.join(runIds.map((id) => sql.lit(id)))
  return sql<boolean>`fence IN (SELECT fence FROM piko_item_run WHERE run_id IN (${ids}))`
}

/** Selects lanes with queued items of some runs. The claim of one run must not lock or delay the lanes of others. */
function withItemsOf(runIds: readonly number[]) {
  return sql<boolean>`EXISTS (SELECT 1 FROM piko_item WHERE lane_id = piko_lane.id AND state = 'queued' AND ${ofRuns(runIds)})`
}

/** Returns an instant in milliseconds since 1970; undefined if it is null, or if a person has edited it and it can't be read. */
export function readableMs(value: Date | string | null, dialect: Dialect): number | undefined {
  if (value === null) return undefined
  try {
    return dialect.date(value).getTime()
  } catch {
    return undefined
  }
}
