import { sql, type Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/** The end of an item's hold of a state. */
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

/** Frees states with the ends of the items that held them. A state that another item holds by now stays as it is. */
export async function endStates(trx: Transaction<Tables>, dialect: Dialect, ends: readonly StateEnd[]): Promise<void> {
  const ordered = ends.toSorted((one, other) => (textOf(one) < textOf(other) ? -1 : 1))
  for (const { jobId, pool, name, itemId, claims, value, errors, isRetired } of ordered) {
    await trx
      .updateTable('piko_item_state')
      .set({
        ...{ item_id: null, claims: null, used_at: dialect.now() },
        uses: sql`uses + 1`,
        errors: sql`errors + ${sql.lit(errors)}`,
        ...(value !== undefined && { state: value }),
        ...(isRetired && { retired_at: dialect.now() }),
      })
      .where('job_id', '=', jobId)
      .where('pool', '=', pool)
      .where('name', '=', name)
      .where('item_id', '=', itemId)
      .where('claims', '=', claims)
      .execute()
  }
}

function textOf({ jobId, pool, name }: StateEnd): string {
  return `${jobId}\0${pool}\0${name}`
}
