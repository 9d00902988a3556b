import type { Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { type HeldItem, storeAdded } from './end-items.ts'
import { CountChanges } from './item-counts.ts'
import type { NewItem } from './new-item.ts'

/** The position from which an item continues after an interruption, and the items that it has added since the last checkpoint. */
export interface Checkpoint {
  readonly held: HeldItem
  readonly position: string
  readonly added: readonly NewItem[]
  readonly left: ReadonlyMap<string, number>
}

/** Stores a checkpoint. @returns false if this node no longer holds the item; then nothing was stored */
export async function checkpointIn(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  { held, position, added, left }: Checkpoint,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('piko_item')
    .set({ position })
    .where('id', '=', held.id)
    .where('claims', '=', held.claims)
    .where('node_id', '=', nodeId)
    .where(dialect.checkedState, '=', 'running')
    .executeTakeFirstOrThrow()
  if (numUpdatedRows === 0n) return false
  const counts = new CountChanges()
  await storeAdded(trx, dialect, added, counts)
  for (const [reason, amount] of left) counts.add(held.fence, held.kind, `left:${reason}`, amount)
  await counts.store(trx, dialect, nodeId)
  return true
}
