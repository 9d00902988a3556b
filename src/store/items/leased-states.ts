import { sql, type Transaction } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { exactKey } from '../values/exact-key.ts'

/** How an item's lease of a state ends. */
export interface StateEnd {
  readonly jobId: string
  readonly pool: string
  readonly name: string
  readonly itemId: number
  readonly claims: number
  /** The new value as JSON; undefined: unchanged. */
  readonly value: string | undefined
  readonly errors: number
  readonly isRetired: boolean
}

/** Frees the states of items that end. A state that another item already holds is not changed. */
export async function endStates(trx: Transaction<Tables>, dialect: Dialect, ends: readonly StateEnd[]): Promise<void> {
  const ordered = ends.toSorted((one, other) => (textOf(one) < textOf(other) ? -1 : 1))
  for (const { jobId, pool, name, itemId, claims, value, errors, isRetired } of ordered) {
    const own = { job_id: jobId, pool: exactKey(pool), name, item_id: itemId, claims }
    // Retired states are deleted, because each lease reads all rows of the pool.
    if (isRetired) {
      await trx
        .deleteFrom('piko_item_state')
        .where((eb) => eb.and(own))
        .execute()
      continue
    }
    await trx
      .updateTable('piko_item_state')
      .set({
        ...{ item_id: null, claims: null, used_at: dialect.now() },
        uses: sql`uses + 1`,
        errors: sql`errors + ${sql.lit(errors)}`,
        ...(value !== undefined && { state: value }),
      })
      .where((eb) => eb.and(own))
      .execute()
  }
}

function textOf({ jobId, pool, name }: StateEnd): string {
  return `${jobId}\0${pool}\0${name}`
}

/** The state that an item asks for. */
export interface StateRequest {
  readonly nodeId: string
  readonly jobId: string
  readonly pool: string
  readonly itemId: number
  readonly claims: number
  readonly size: number
  /** The name of the state; undefined: any state of the pool. */
  readonly name: string | undefined
  /** The name for a new state, if one is created. */
  readonly newName: string
}

/** A leased state. If `value` is null, its value must be created. */
export interface LeasedRow {
  readonly name: string
  readonly value: string | null
  readonly uses: number
  readonly errors: number
}

/**
 * Leases the requested state, or the one of the pool that has been free longest. If no state was requested, none is free and the pool is
 * not full, adds a state.
 *
 * If the pool is full or a state was requested, a state whose holder is no longer running counts as free: the holder ended before it knew
 * that its lease was stored.
 *
 * @returns undefined if no such state is free; `retired` if the requested one is retired or unknown; `lost` if the node no longer holds the
 *   item
 */
export function leaseState(
  database: Database,
  request: StateRequest,
): Promise<LeasedRow | undefined | 'retired' | 'lost'> {
  const { dialect } = database
  const { jobId, name, size, newName, itemId, claims } = request
  const pool = exactKey(request.pool)
  return database.transaction(async (trx) => {
    // The row of the item is locked, so that the item can't end before the lease is stored.
    if (!(await holdsItem(trx, dialect, request))) return 'lost'
    await lockPool(trx, dialect, jobId, pool)
    const live = trx
      .selectFrom('piko_item_state')
      .select(['name', 'state', 'uses', 'errors', 'item_id', 'claims'])
      .where('job_id', '=', jobId)
      .where('pool', '=', pool)
      .where('retired_at', 'is', null)
      .orderBy('used_at')
      .orderBy('name')
    const rows = await live.modifyEnd(dialect.forUpdate).execute()
    if (name !== undefined && !rows.some((row) => row.name === name)) return 'retired'
    const wanted = rows.filter((row) => name === undefined || row.name === name)
    const isFull = name !== undefined || rows.length >= size
    const free =
      wanted.find((row) => row.item_id === null) ?? (isFull ? await abandonedOf(trx, dialect, wanted) : undefined)
    if (free) {
      await trx
        .updateTable('piko_item_state')
        .set({ item_id: itemId, claims })
        .where('job_id', '=', jobId)
        .where('pool', '=', pool)
        .where('name', '=', free.name)
        .execute()
      return { name: free.name, value: free.state, uses: free.uses, errors: free.errors }
    }
    if (isFull) return undefined
    await trx
      .insertInto('piko_item_state')
      .values({ job_id: jobId, pool, name: newName, state: null, item_id: itemId, claims, used_at: dialect.now() })
      .execute()
    return { name: newName, value: null, uses: 0, errors: 0 }
  })
}

async function holdsItem(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { nodeId, itemId, claims }: StateRequest,
): Promise<boolean> {
  const row = await trx
    .selectFrom('piko_item')
    .select('id')
    .where('id', '=', itemId)
    .where('node_id', '=', nodeId)
    .where('claims', '=', claims)
    .where(dialect.checkedState, '=', 'running')
    .modifyEnd(dialect.forUpdate)
    .executeTakeFirst()
  return row !== undefined
}

/** Returns the first state whose holder is no longer running. */
async function abandonedOf<Row extends { readonly item_id: number | null; readonly claims: number | null }>(
  trx: Transaction<Tables>,
  dialect: Dialect,
  rows: readonly Row[],
): Promise<Row | undefined> {
  const ids = rows.flatMap(({ item_id }) => item_id ?? [])
  if (ids.length === 0) return undefined
  const holders = await trx
    .selectFrom('piko_item')
    .select(['id', 'claims'])
    .where(dialect.isAmong(ids))
    .where(dialect.checkedState, '=', 'running')
    .execute()
  const claims = new Map(holders.map((holder) => [holder.id, holder.claims]))
  return rows.find((row) => row.item_id !== null && claims.get(row.item_id) !== row.claims)
}

/** Locks a row that represents the pool, so that two nodes do not add states at the same time. */
async function lockPool(trx: Transaction<Tables>, dialect: Dialect, jobId: string, pool: string): Promise<void> {
  const key = { job_id: jobId, pool, name: '' }
  const find = () =>
    trx
      .selectFrom('piko_item_state')
      .select('name')
      .where((eb) => eb.and(key))
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirst()
  if (await find()) return
  const row = { ...key, state: null, used_at: dialect.now(), retired_at: dialect.now() }
  await dialect.insertIgnore(trx.insertInto('piko_item_state').values(row)).execute()
  await find()
}

/** Stores the value of a new state. If creating the value failed, `value` is undefined and the state is deleted. */
export async function createdState(
  { db }: Database,
  { jobId, pool, itemId, claims }: StateRequest,
  name: string,
  value: string | undefined,
): Promise<void> {
  const own = { job_id: jobId, pool: exactKey(pool), name, item_id: itemId, claims }
  if (value === undefined)
    await db
      .deleteFrom('piko_item_state')
      .where((eb) => eb.and(own))
      .execute()
  else
    await db
      .updateTable('piko_item_state')
      .set({ state: value })
      .where((eb) => eb.and(own))
      .execute()
}
