import type { Kysely } from 'kysely'
import type { Tables } from '../../tables.ts'
import { QUEUED } from '../run-states.ts'

/**
 * Returns the next priority after the given one that has queued runs. Without `after`, returns the first of all. Reads only the index of
 * the queue.
 */
export async function nextPriority(db: Kysely<Tables>, after: number | undefined): Promise<number | undefined> {
  const row = await db
    .selectFrom('piko_run')
    .select('priority')
    .where('state', '=', QUEUED)
    .$if(after !== undefined, (query) => query.where('priority', '>', after as number))
    .orderBy('priority')
    .limit(1)
    .executeTakeFirst()
  return row?.priority
}
