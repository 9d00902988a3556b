import { sql, type Transaction } from 'kysely'
import { PikoError } from '../../errors.ts'
import type { RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { type ClaimRow, CLAIM_COLUMNS } from '../runs/run-row.ts'
import { heldRun, type StepOwner } from '../steps/new-step.ts'
import type { Tables } from '../tables.ts'
import { readableMs } from './due-lanes.ts'
import { CountChanges } from './item-counts.ts'
import { storeAdded } from './end-items.ts'
import type { NewItem } from './new-item.ts'

/** The open generation of a run's items. */
export interface OpenItems {
  readonly fence: number
  /** Whether the handler has added all items. */
  readonly isSeeded: boolean
  /** The value that the handler returned, as JSON. */
  readonly output: string | null
}

/** A run that owns items, for the nodes that execute these items. */
export interface ItemRunInfo {
  readonly fence: number
  readonly run: ClaimRow
  readonly state: RunState
  /** Whether the items must not be executed, because the run is being cancelled, or the generation was given up or closed. */
  readonly isCancelled: boolean
  /** When the first items were stored, in milliseconds on the database's clock. */
  readonly begunMs: number
}

/**
 * Returns the open generation of a run; undefined if it has none. `'ending'`: a replay has given up the generation,
 * but some of its items are still queued or running. Items that the handler adds now may be duplicates of them.
 */
export async function openItemsOf({ db, dialect }: Database, runId: number): Promise<OpenItems | 'ending' | undefined> {
  const rows = await db
    .selectFrom('piko_item_run')
    .select(['fence', 'seeded_at', 'output', 'ended_at'])
    .where('run_id', '=', runId)
    .where((eb) => eb.or([eb('ended_at', 'is', null), eb('ended_at', '>', dialect.now())]))
    .orderBy('fence', 'desc')
    .execute()
  if (rows.some((row) => row.ended_at !== null)) return 'ending'
  const [row] = rows
  return row && { fence: row.fence, isSeeded: row.seeded_at !== null, output: row.output }
}

/** How far in the future `ended_at` is set, so that no sweep ever reaches that time; see {@link giveUpItems}. */
const FAR_MS = 100 * 365 * 86_400_000

/**
 * Gives up the open generations of runs that a replay queues, because their handlers will add all items again. Sets `ended_at` to a time far
 * in the future. The sweep then cancels the queued items of such a generation, and closes it.
 */
export async function giveUpItems(
  trx: Transaction<Tables>,
  dialect: Dialect,
  runIds: readonly number[],
): Promise<void> {
  await trx
    .updateTable('piko_item_run')
    .set({ ended_at: dialect.nowPlus(FAR_MS) })
    .where('run_id', 'in', [...runIds])
    .where('ended_at', 'is', null)
    .execute()
}

export interface Seeds extends StepOwner {
  /** The generation of the items. */
  readonly fence: number
  /** Whether this is the first write of the generation. */
  readonly isFirst: boolean
  readonly items: readonly NewItem[]
  readonly left: ReadonlyMap<string, number>
  readonly kind: string
}

/** Stores items that a handler adds. @throws PikoError `LEASE_LOST` if this node no longer owns the run: nothing is written */
export async function addSeeds(
  database: Database,
  seeds: Seeds,
): Promise<{ readonly added: number; readonly duplicates: number }> {
  const { dialect } = database
  return database.transaction(async (trx) => {
    await assertHeld(trx, database, seeds)
    if (seeds.isFirst) await begin(trx, database, seeds)
    const counts = new CountChanges()
    const stored = await storeAdded(trx, dialect, seeds.items, counts)
    for (const [reason, amount] of seeds.left) counts.add(seeds.fence, seeds.kind, `left:${reason}`, amount)
    await counts.store(trx, dialect, seeds.nodeId)
    return stored
  })
}

/** Records that the handler has added all items, and its result. @throws PikoError `LEASE_LOST` */
export async function endSeeds(
  database: Database,
  seeds: StepOwner & { readonly fence: number; readonly output: string | null },
): Promise<void> {
  const { dialect } = database
  await database.transaction(async (trx) => {
    await assertHeld(trx, database, seeds)
    await trx
      .updateTable('piko_item_run')
      .set({ seeded_at: dialect.now(), output: seeds.output })
      .where('fence', '=', seeds.fence)
      .execute()
  })
}

async function begin(trx: Transaction<Tables>, { dialect }: Database, { fence, claim }: Seeds): Promise<void> {
  const row = { fence, run_id: claim.runId, job_id: claim.jobId, created_at: dialect.now() }
  await dialect.insertIgnore(trx.insertInto('piko_item_run').values(row)).execute()
}

async function assertHeld(trx: Transaction<Tables>, { dialect }: Database, owner: StepOwner): Promise<void> {
  const { rows } = await heldRun(dialect, owner).execute(trx)
  if (rows.length > 0) return
  const { runId, jobId, fence } = owner.claim
  throw new PikoError(
    'LEASE_LOST',
    `run ${runId} of job "${jobId}" is no longer held by the claim with fence ${fence}: its items were not stored`,
    { details: { runId, jobId, fence } },
  )
}

/** Returns those of the given generations that have no queued and no running items. */
export async function idleItems({ db }: Database, fences: readonly number[]): Promise<number[]> {
  if (fences.length === 0) return []
  const has = (state: 'queued' | 'running') =>
    sql<boolean>`EXISTS (SELECT 1 FROM piko_item WHERE piko_item.fence = piko_item_run.fence AND state = ${sql.lit(state)})`
  const rows = await db
    .selectFrom('piko_item_run')
    .select('fence')
    .where('fence', 'in', [...fences])
    .where(sql<boolean>`NOT ${has('queued')}`)
    .where(sql<boolean>`NOT ${has('running')}`)
    .execute()
  return rows.map(({ fence }) => fence)
}

/** Returns the runs of these generations, without deleted runs. */
export async function itemRunInfos(database: Database, fences: readonly number[]): Promise<ItemRunInfo[]> {
  if (fences.length === 0) return []
  const rows = await database.db
    .selectFrom('piko_item_run')
    .innerJoin('piko_run', 'piko_run.id', 'piko_item_run.run_id')
    .select(CLAIM_COLUMNS.map((column) => `piko_run.${column}` as const))
    .select(['piko_item_run.fence', 'piko_item_run.ended_at', 'piko_run.state', 'piko_run.cancel_requested_at'])
    .select('piko_item_run.created_at as begun_at')
    .where('piko_item_run.fence', 'in', [...fences])
    .execute()
  return rows.map(({ fence, state, cancel_requested_at, ended_at, begun_at, ...run }) => ({
    ...{ fence, run, state },
    isCancelled: cancel_requested_at !== null || ended_at !== null,
    begunMs: readableMs(begun_at, database.dialect) ?? Infinity,
  }))
}

export async function runningItems({ db }: Database, fence: number): Promise<number> {
  const row = await db
    .selectFrom('piko_item')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('fence', '=', fence)
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/** Returns the counts of a generation, summed over all nodes, by kind and by what is counted. */
export async function itemCounts(
  { db }: Database,
  fence: number,
): Promise<readonly { readonly kind: string; readonly what: string; readonly amount: number }[]> {
  const rows = await db
    .selectFrom('piko_item_count')
    .select((eb) => ['kind', 'what', eb.fn.sum<number>('amount').as('amount')])
    .where('fence', '=', fence)
    .groupBy(['kind', 'what'])
    .execute()
  return rows.map(({ kind, what, amount }) => ({ kind, what, amount: Number(amount) }))
}
