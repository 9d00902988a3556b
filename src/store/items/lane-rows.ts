import { type Kysely, type RawBuilder, type Selectable, sql } from 'kysely'
import type { BreakerState } from '../../item/breaker.ts'
import { type LaneLimits, spacingMs } from '../../item/lane.ts'
import { MAX_STORED_MS } from '../../time/duration.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import type { LaneTable } from './item-tables.ts'

/** A lane to use: its name, and its limits from the code. */
export interface LaneRef extends LaneLimits {
  readonly scope: string
  readonly name: string
}

/** A lane as a claim reads it. Instants are milliseconds on the database's clock. */
export interface LaneState extends LaneLimits {
  readonly id: number
  readonly name: string
  readonly freeAt: number
  readonly delayMs: number | undefined
  readonly factor: number
  readonly successes: number
  readonly breaker: BreakerState
}

/** The columns of {@link LaneState}, and when a claim must read the lane again. */
export const LANE_COLUMNS = [
  ...([
    'id',
    'name',
    'next_at',
    'free_at',
    'rate_limit',
    'rate_ms',
    'parallel',
    'delay_ms',
    'factor',
    'successes',
  ] as const),
  ...(['failures', 'recent', 'opens', 'open_until'] as const),
] as const

type LaneRow = Pick<Selectable<LaneTable>, (typeof LANE_COLUMNS)[number]>

export function laneStateOf(row: LaneRow, dialect: Dialect): LaneState {
  return {
    id: row.id,
    name: keyOf(row.name),
    rate: row.rate_limit === null || row.rate_ms === null ? undefined : { limit: row.rate_limit, perMs: row.rate_ms },
    parallel: row.parallel ?? undefined,
    freeAt: msOf(row.free_at, dialect) ?? 0,
    delayMs: row.delay_ms ?? undefined,
    factor: row.factor,
    successes: row.successes,
    breaker: {
      failures: row.failures,
      recent: row.recent,
      opens: row.opens,
      openUntil: msOf(row.open_until, dialect),
    },
  }
}

/** Reads a lane. Undefined if a person has edited the row so that it can't be read, or so that its next time can't be stored. */
export function readableLane(row: LaneRow, dialect: Dialect): LaneState | undefined {
  try {
    const lane = laneStateOf(row, dialect)
    const spacing = spacingMs(lane.rate, lane.factor, lane.delayMs)
    return spacing <= MAX_STORED_MS && Number.isFinite(lane.factor) ? lane : undefined
  } catch {
    return undefined
  }
}

function msOf(value: Date | string | null, dialect: Dialect): number | undefined {
  return value === null ? undefined : dialect.date(value).getTime()
}

/** Converts an instant of a lane to the form to store; undefined becomes null. */
export function instantOrNull(ms: number | undefined, dialect: Dialect): RawBuilder<Date | null> {
  return ms === undefined ? sql<null>`NULL` : sql<Date>`${dialect.instant(new Date(Math.ceil(ms)))}`
}

/** The shortest time, in milliseconds, between two records of a lane's use. */
const USED_MS = 3_600_000
/** A lane without items is deleted if no node has looked it up for this long. This is longer than any node caches its id. */
export const LANE_IDLE_MS = 7 * 86_400_000

/**
 * Returns the ids of lanes by scope and name. Creates missing lanes, updates limits that have changed in the code, and records that the
 * lanes are used.
 *
 * @returns keyed by `laneKey`
 */
export async function ensureLanes(
  db: Kysely<Tables>,
  dialect: Dialect,
  lanes: readonly LaneRef[],
): Promise<Map<string, number>> {
  const wanted = new Map(lanes.map((lane) => [laneKey(lane.scope, lane.name), lane]))
  const found = await readLanes(db, dialect, [...wanted.values()])
  const ids = await usedLanes(db, dialect, wanted, found)
  const missing = [...wanted].filter(([key]) => !ids.has(key)).map(([, lane]) => lane)
  if (missing.length === 0) return ids
  const values = missing
    .toSorted((one, other) => (laneKey(one.scope, one.name) < laneKey(other.scope, other.name) ? -1 : 1))
    .map(({ scope, name, rate, parallel }) => ({
      ...{ scope, name: exactKey(name), rate_limit: rate?.limit ?? null, rate_ms: rate?.perMs ?? null },
      ...{ parallel: parallel ?? null, used_at: dialect.now() },
    }))
  await dialect.insertIgnore(db.insertInto('piko_lane').values(values)).execute()
  const added = await usedLanes(db, dialect, wanted, await readLanes(db, dialect, missing))
  return new Map([...ids, ...added])
}

type FoundLane = Awaited<ReturnType<typeof readLanes>>[number]

/** Updates existing lanes and returns their ids. Leaves out a lane that another node has just deleted. */
async function usedLanes(
  db: Kysely<Tables>,
  dialect: Dialect,
  wanted: ReadonlyMap<string, LaneRef>,
  rows: readonly FoundLane[],
): Promise<Map<string, number>> {
  const ids = new Map<string, number>()
  for (const row of rows) {
    const key = laneKey(row.scope, keyOf(row.name))
    const lane = wanted.get(key)
    if (!lane) continue
    const limits = {
      rate_limit: lane.rate?.limit ?? null,
      rate_ms: lane.rate?.perMs ?? null,
      parallel: lane.parallel ?? null,
    }
    const isSame =
      limits.rate_limit === row.rate_limit && limits.rate_ms === row.rate_ms && limits.parallel === row.parallel
    const isFresh = Number(row.is_fresh) === 1
    if (isSame && isFresh) ids.set(key, row.id)
    else {
      const { numUpdatedRows } = await db
        .updateTable('piko_lane')
        .set({ ...limits, ...(!isFresh && { used_at: dialect.now() }) })
        .where('id', '=', row.id)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows > 0n) ids.set(key, row.id)
    }
  }
  return ids
}

/** Like {@link ensureLanes}, on a given connection. */
export type EnsureLanes = (lanes: readonly LaneRef[]) => Promise<ReadonlyMap<string, number>>

export function laneKey(scope: string, name: string): string {
  return `${scope}\0${name}`
}

/** The maximum number of lanes that one statement handles. */
export const MAX_LANES = 500

function readLanes(db: Kysely<Tables>, dialect: Dialect, lanes: readonly LaneRef[]) {
  return db
    .selectFrom('piko_lane')
    .select(['id', 'scope', 'name', 'rate_limit', 'rate_ms', 'parallel'])
    .select(sql<number>`CASE WHEN used_at > ${dialect.nowPlus(-USED_MS)} THEN 1 ELSE 0 END`.as('is_fresh'))
    .where((eb) =>
      eb.or(
        [...Map.groupBy(lanes, ({ scope }) => scope)].map(([scope, some]) =>
          eb.and([
            eb('scope', '=', scope),
            eb(
              'name',
              'in',
              some.map(({ name }) => exactKey(name)),
            ),
          ]),
        ),
      ),
    )
    .execute()
}

/**
 * Returns the time from which a claim may take items of a lane: now, the end of the lane's wait, or the end of its breaker's pause,
 * whichever is latest.
 */
export function openAt(dialect: Dialect): RawBuilder<Date> {
  const now = dialect.now()
  return dialect.later(dialect.later(sql`COALESCE(free_at, ${now})`, sql`COALESCE(open_until, ${now})`), now)
}

/**
 * Wakes lanes that have new items or can begin more, so that claims read them. Called after the transaction that made the items visible:
 * just before its commit, a claim that did not see the items may have stored that the lane need not be read.
 */
export async function wakeLanes(db: Kysely<Tables>, dialect: Dialect, ids: readonly number[]): Promise<void> {
  const at = openAt(dialect)
  await db
    .updateTable('piko_lane')
    // There is no condition on `next_at` in WHERE: for a row that a claim has locked, MySQL would test the last committed version and skip
    // it.
    .set({ next_at: sql`CASE WHEN next_at IS NULL OR next_at > ${at} THEN ${at} ELSE next_at END` })
    .where(dialect.isAmong(ids))
    .where('paused_at', 'is', null)
    .execute()
}
