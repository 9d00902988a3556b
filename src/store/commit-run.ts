import { PikoError, toError } from '../errors.ts'
import { type Claim } from '../job/run.ts'
import { type SqlExecutor } from '../sink/sql.ts'
import { type Database } from './database.ts'
import { fenceOf } from './fence.ts'
import { MOST_OUTPUT_BYTES, toJson } from './json.ts'
import { guarded, settleWindows } from './run-store.ts'
import { sqlExecutor } from './sql-executor.ts'

/**
 * The user's writes, the run's completion and its window's state in one transaction, which is run again after a deadlock, a
 * lock timeout or a busy file.
 *
 * The run's row is taken last. Were it locked first, a process that is stopped while `fn` runs would keep the row from
 * being recovered for as long as the server keeps its connection.
 *
 * @param isWanted asked before the commit; it throws when the run has been ended
 * @returns what `fn` returned, which is stored as the run's output
 * @throws PikoError `LEASE_LOST` when the claim is no longer valid, and what `fn` and `isWanted` throw: nothing is written then
 */
export async function commitRun<T>(
  database: Database,
  nodeId: string,
  claim: Claim,
  fn: (trx: SqlExecutor) => Promise<T>,
  isWanted: () => void,
): Promise<T> {
  const { dialect } = database
  let done: { readonly value: T } | undefined
  try {
    return await database.transaction((trx) =>
      database.enter(async () => {
        done = undefined
        const value = await fn(sqlExecutor(trx, dialect.name))
        const output = toJson(value, 'output', MOST_OUTPUT_BYTES)
        isWanted()
        const { numUpdatedRows } = await guarded(trx, nodeId, [claim])
          .set({ state: 'succeeded', error: null, output, finished_at: dialect.now() })
          .executeTakeFirstOrThrow()
        if (numUpdatedRows === 0n) throw leaseLost(claim)
        await settleWindows(trx, dialect, [{ claim, transition: { to: 'succeeded' } }])
        done = { value }
        return value
      }),
    )
  } catch (error) {
    // Everything was written and the commit sent: whether it arrived is for the database to say.
    if (done && (await isCommitted(database, claim, toError(error)))) return done.value
    throw error
  }
}

/** Waits on the row's lock for a commit that is under way on a connection that is gone. */
async function isCommitted(database: Database, claim: Claim, lost: Error): Promise<boolean> {
  try {
    return await database.transaction(async (trx) => {
      const row = await trx
        .selectFrom('piko_run')
        .select(['state', 'claims'])
        .where('id', '=', claim.runId)
        .modifyEnd(database.dialect.forUpdate)
        .executeTakeFirst()
      return row?.state === 'succeeded' && fenceOf(claim.runId, row.claims) === claim.fence
    })
  } catch {
    // Still unreachable. The run ends as failed in this process only: the guard refuses that end if the commit has arrived.
    throw lost
  }
}

function leaseLost({ runId, jobId, fence }: Claim): PikoError {
  return new PikoError(
    'LEASE_LOST',
    `run ${runId} of job "${jobId}" is no longer held by the claim with fence ${fence}: nothing of its commit was written`,
    { details: { runId, jobId, fence } },
  )
}
