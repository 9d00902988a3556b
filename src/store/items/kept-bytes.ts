import { sql, type Transaction } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/** The maximum number of bytes of an item that are kept in the database. More are kept in a file. */
export const MAX_STORED_KEPT = 65_536

/** The value of `piko_item.kept` for bytes in the database. */
export const IN_STORE = 'store'

/** The bytes that an item keeps for its next try, if any. */
export interface Kept {
  /** `store`, or the name of a file; undefined: no bytes are kept any more. */
  readonly ref: string | undefined
  /** The bytes, if they are in the database. */
  readonly bytes: Uint8Array | undefined
}

interface Keeper {
  readonly held: { readonly id: number }
  readonly end: { readonly to: string }
  readonly kept: Kept | undefined
  readonly hadKept: boolean
}

/** Stores the bytes of items that may be tried again, and deletes the bytes of items that no longer need them. */
export async function storeKept(trx: Transaction<Tables>, dialect: Dialect, ends: readonly Keeper[]): Promise<void> {
  const gone = ends.filter(({ end, kept, hadKept }) => hadKept && (isOver(end.to) || kept !== undefined))
  if (gone.length > 0) {
    await trx
      .deleteFrom('piko_item_body')
      .where(
        'item_id',
        'in',
        gone.map(({ held }) => held.id),
      )
      .execute()
  }
  for (const { held, end, kept } of ends) {
    if (!kept?.bytes || isOver(end.to)) continue
    const values = sql`INTO piko_item_body (item_id, body) VALUES (${held.id}, ${Buffer.from(kept.bytes)})`
    await (dialect.name === 'mysql' ? sql`REPLACE ${values}` : sql`INSERT OR REPLACE ${values}`).execute(trx)
  }
}

function isOver(to: string): boolean {
  return to === 'done' || to === 'skipped' || to === 'cancelled'
}

/** Returns the bytes of an item that are in the database; undefined if there are none. */
export async function storedBytes({ db }: Database, itemId: number): Promise<Uint8Array | undefined> {
  const row = await db.selectFrom('piko_item_body').select('body').where('item_id', '=', itemId).executeTakeFirst()
  return row && new Uint8Array(row.body)
}
