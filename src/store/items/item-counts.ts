import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/** What is counted for the items of a run, by kind. `skipped:` and `left:` are followed by a reason. */
export type Counted =
  | 'stored'
  | 'done'
  | 'dead'
  | 'cancelled'
  | 'duplicate'
  | 'bytes'
  | 'ms'
  | `skipped:${string}`
  | `left:${string}`

/** The amounts to add to the counts of runs. */
export class CountChanges {
  readonly #amounts = new Map<string, { fence: number; kind: string; what: Counted; amount: number }>()

  add(fence: number, kind: string, what: Counted, amount = 1): void {
    if (amount === 0) return
    const key = `${fence} ${kind} ${what}`
    const known = this.#amounts.get(key)
    if (known) known.amount += amount
    else this.#amounts.set(key, { fence, kind, what, amount })
  }

  /** Adds the amounts to this node's rows. Other nodes do not write these rows. */
  async store(trx: Kysely<Tables>, dialect: Dialect, nodeId: string): Promise<void> {
    const rows = [...this.#amounts.values()].toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
    if (rows.length === 0) return
    const values = rows.map(
      ({ fence, kind, what, amount }) =>
        sql`(${sql.lit(fence)}, ${kind}, ${what}, ${nodeId}, ${sql.lit(Math.min(Math.round(amount), Number.MAX_SAFE_INTEGER))})`,
    )
    const most = sql.lit(Number.MAX_SAFE_INTEGER)
    const adding =
      dialect.name === 'mysql'
        ? sql`ON DUPLICATE KEY UPDATE amount = LEAST(amount + VALUES(amount), ${most})`
        : sql`ON CONFLICT (fence, kind, what, node_id) DO UPDATE SET amount = MIN(amount + excluded.amount, ${most})`
    await sql`INSERT INTO piko_item_count (fence, kind, what, node_id, amount) VALUES ${sql.join(values)} ${adding}`.execute(
      trx,
    )
  }
}

function keyOf({ fence, kind, what }: { fence: number; kind: string; what: string }): string {
  return `${String(fence).padStart(20)} ${kind} ${what}`
}

/** Returns the name under which a reason is counted: its text before the first colon, so that there are only a few names. */
export function countedReason(reason: string): string {
  return (reason.split(':', 1)[0] ?? '').trim().slice(0, 48).toWellFormed().trimEnd() || 'other'
}
