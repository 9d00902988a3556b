import { type Kysely, sql, type SqlBool, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { exactKey } from '../values/exact-key.ts'

/**
 * Deletes a step of each run and all steps that were stored after it. If a run does not have the step, it keeps all its steps.
 *
 * @param runIds runs whose rows the transaction has locked
 * @returns the number of deleted steps
 */
export async function forgetFrom(trx: Transaction<Tables>, runIds: readonly number[], name: string): Promise<number> {
  const found = await trx
    .selectFrom('piko_step')
    .select(['run_id', 'fence', 'seq'])
    .where('run_id', 'in', runIds)
    .where('name', '=', exactKey(name))
    .orderBy('run_id')
    .execute()
  let count = 0
  for (const { run_id, fence, seq } of found) {
    const { numDeletedRows } = await trx
      .deleteFrom('piko_step')
      .where('run_id', '=', run_id)
      .where(sql<SqlBool>`(fence > ${fence} OR (fence = ${fence} AND seq >= ${seq}))`)
      .executeTakeFirstOrThrow()
    count += Number(numDeletedRows)
  }
  return count
}

/** Returns the query that counts the steps that `forgetFrom` would delete. Callers may filter by columns of `step`. */
export function countFrom(db: Kysely<Tables>, name: string) {
  return db
    .selectFrom('piko_step as step')
    .innerJoin('piko_step as first', 'first.run_id', 'step.run_id')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('first.name', '=', exactKey(name))
    .where(sql<SqlBool>`(step.fence > first.fence OR (step.fence = first.fence AND step.seq >= first.seq))`)
}

/** Deletes the unfinished waits of these runs. They begin anew, so that they do not time out immediately. */
export async function forgetWaiting(trx: Transaction<Tables>, runIds: readonly number[]): Promise<void> {
  await trx.deleteFrom('piko_step').where('run_id', 'in', runIds).where('finished_at', 'is', null).execute()
}
