import type { Database } from '../connection/database.ts'
import { soundRows } from '../values/broken-row.ts'
import { soundInPages } from '../statements/pages.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import { storedStarts } from './rate-starts.ts'
import { NO_JOB } from './reserve-places.ts'

/** The use of a rate limit that all nodes share. */
export interface LimitStatus {
  readonly name: string
  /** How many units were taken in the span that ends with the last take. */
  readonly taken: number
  /** The instant for which the last take is counted, on the database's clock; undefined if there is none. */
  readonly lastAt: Date | undefined
  /** After this instant, the counts have no effect. */
  readonly expiresAt: Date
}

/**
 * Lists the limits that have not expired, by name.
 *
 * @param after only limits with later names
 */
export async function listLimits(
  { db, dialect, broken }: Database,
  limit: number,
  after?: string,
): Promise<LimitStatus[]> {
  const query = db
    .selectFrom('piko_rate')
    .select(['job_id', 'rate_key', 'starts', 'expires_at'])
    .where('job_id', '=', NO_JOB)
    .where('expires_at', '>=', dialect.now())
    .orderBy('rate_key')
  type Row = Awaited<ReturnType<typeof query.execute>>[number]
  const sound = await soundInPages<Row, Row>(
    limit,
    (size, last) => {
      const begin = last?.rate_key ?? (after === undefined ? undefined : exactKey(after))
      return (begin === undefined ? query : query.where('rate_key', '>', begin)).limit(size).execute()
    },
    (rows) => soundRows(dialect, 'piko_rate', rows, broken.report),
  )
  return sound.map(({ rate_key: key, starts, expires_at: end }) => {
    // An entry with the count 0 is not a take, but the state of the bucket.
    const takes = storedStarts(starts).filter(([, count]) => count > 0)
    const last = takes.at(-1)
    return {
      name: keyOf(key),
      taken: takes.reduce((sum, [, count]) => sum + count, 0),
      lastAt: last && new Date(last[0]),
      expiresAt: dialect.date(end),
    }
  })
}

/** Deletes the row of a limit. @returns whether there was anything to delete */
export async function resetLimit({ db, retry }: Database, name: string): Promise<boolean> {
  const { numDeletedRows } = await retry(() =>
    db
      .deleteFrom('piko_rate')
      .where('job_id', '=', NO_JOB)
      .where('rate_key', '=', exactKey(name))
      .executeTakeFirstOrThrow(),
  )
  return numDeletedRows > 0n
}
