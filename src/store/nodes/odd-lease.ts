import { describeInstant } from '../../time/instant.ts'
import type { Dialect } from '../connection/dialect.ts'
import { BrokenRow } from '../values/broken-row.ts'

/**
 * A lease that ended later than any owner would set it, because a person edited the row or the database's clock was far ahead. Piko has
 * shortened it. If the owner is alive, it renews the lease; otherwise the lease expires.
 */
export class OddLease extends BrokenRow {
  /** @param remedy the SQL assignment that ends the lease immediately */
  constructor(
    dialect: Pick<Dialect, 'name'>,
    table: 'piko_lock' | 'piko_node',
    row: Readonly<Record<string, unknown>> & { readonly expires_at: unknown },
    { maxMs, endsInMs, remedy }: { readonly maxMs: number; readonly endsInMs: number; readonly remedy: string },
  ) {
    const example = dialect.name === 'mysql' ? 'UTC_TIMESTAMP(3)' : `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
    const expected = `at most ${maxMs / 1_000} s from now, the longest that it can be held without a renewal`
    const fault = { column: 'expires_at', value: describeInstant(row.expires_at), expected, example }
    super(table, row, [fault], undefined, ({ key, wrong }) => {
      const until = `it now ends in ${endsInMs / 1_000} s, unless its owner is alive and renews it`
      return `the lease in the row of ${table} with ${key} is not plausible: ${wrong}; ${until}. To end it now: UPDATE ${table} SET ${remedy} WHERE ${key}`
    })
  }
}
