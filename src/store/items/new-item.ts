import { hash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import type { Dialect } from '../connection/dialect.ts'
import { bulkInsert, type Cell, columnsOf, NOW } from '../statements/bulk-insert.ts'
import type { Tables } from '../tables.ts'

/** An item to store as queued. */
export interface NewItem {
  readonly fence: number
  readonly jobId: string
  readonly kind: string
  readonly laneId: number
  readonly priority: number
  /** When the item is due; undefined: now. */
  readonly dueAt: Date | undefined
  readonly depth: number
  readonly scope: number
  readonly print: string
  readonly key: string
  /** The data as JSON; null for undefined. */
  readonly data: string | null
  readonly parentId: number | undefined
  /** How many items the item's run may have; undefined: no limit. */
  readonly maxItems: number | undefined
}

/** Returns a hash of an item's kind and key. Within a scope of a job, no two items have the same hash. */
export function printOf(kind: string, key: string): string {
  return hash('sha256', `${kind}\0${key}`, 'base64url')
}

/**
 * Makes cancelled items unique only within their generation. Otherwise their job would consider them done and would never do them. If the
 * generation already has the same print, the item is not changed.
 */
export async function forgetPrints(db: Kysely<Tables>, dialect: Dialect, ids: readonly number[]): Promise<void> {
  const ignoring = dialect.name === 'mysql' ? sql`IGNORE` : sql`OR IGNORE`
  await sql`UPDATE ${ignoring} piko_item SET scope = fence WHERE ${dialect.isAmong(ids)} AND scope <> fence`.execute(db)
}

/** How many items of one generation and kind were new, and how many were duplicates. */
export interface Inserted {
  readonly fence: number
  readonly kind: string
  readonly added: number
  readonly duplicates: number
}

const COLUMNS = [
  'fence',
  'job_id',
  'kind',
  'lane_id',
  'state',
  'priority',
  'due_at',
  'depth',
  'scope',
  'print',
  'item_key',
  'data',
  'parent_id',
  'created_at',
]

/** The maximum number of rows that one statement inserts. */
const MAX_ROWS = 500
/** The size of a row without its strings, in bytes. */
const ROW_BYTES = 300

/**
 * Stores items, except those whose print already exists in their scope. All transactions insert in the same order, so that two of them
 * can't deadlock.
 */
export async function insertItems(
  trx: Kysely<Tables>,
  dialect: Dialect,
  items: readonly NewItem[],
): Promise<readonly Inserted[]> {
  if (items.length === 0) return []
  const inserted: Inserted[] = []
  const ordered = items.length === 1 ? items : items.toSorted(inOrder)
  for (const group of groupsOf(ordered)) {
    const [{ fence, kind }] = group
    let added = 0
    for (const batch of batchesOf(group, bytesOf, { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }))
      added += await insert(trx, dialect, batch)
    inserted.push({ fence, kind, added, duplicates: group.length - added })
  }
  return inserted
}

async function insert(trx: Kysely<Tables>, dialect: Dialect, items: readonly NewItem[]): Promise<number> {
  const isMysql = dialect.name === 'mysql'
  const query = bulkInsert(
    dialect,
    'piko_item',
    columnsOf(COLUMNS, items.map(cellsOf)),
    isMysql ? '' : ' ON CONFLICT DO NOTHING',
    isMysql ? 'INSERT IGNORE INTO' : 'INSERT INTO',
  )
  const { numAffectedRows } = await trx.executeQuery(query)
  return Number(numAffectedRows ?? 0n)
}

function cellsOf(item: NewItem): readonly Cell[] {
  return [
    item.fence,
    item.jobId,
    item.kind,
    item.laneId,
    'queued',
    item.priority,
    item.dueAt ?? NOW,
    item.depth,
    item.scope,
    item.print,
    item.key,
    item.data,
    item.parentId ?? null,
    NOW,
  ]
}

function inOrder(one: NewItem, other: NewItem): number {
  return (
    compare(one.jobId, other.jobId) ||
    one.scope - other.scope ||
    compare(one.kind, other.kind) ||
    one.fence - other.fence ||
    compare(one.print, other.print)
  )
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** Splits ordered items by generation, kind and scope. */
function groupsOf(items: readonly NewItem[]): [NewItem, ...NewItem[]][] {
  const groups: [NewItem, ...NewItem[]][] = []
  for (const item of items) {
    const last = groups.at(-1)
    if (last && last[0].fence === item.fence && last[0].kind === item.kind && last[0].scope === item.scope)
      last.push(item)
    else groups.push([item])
  }
  return groups
}

function bytesOf({ key, data }: NewItem): number {
  return ROW_BYTES + sentBytes(key) + sentBytes(data)
}
