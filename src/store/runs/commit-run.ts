import { isPikoError, PikoError } from '../../errors.ts'
import type { Claim } from '../../run/run.ts'
import type { TableRows } from '../../run/table-rows.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Database } from '../connection/database.ts'
import { note, runGroups } from '../events/notes.ts'
import { fenceOf } from './fence.ts'
import { toJson } from '../../json/json.ts'
import { withExecutor } from '../statements/sql-executor.ts'
import { storableOutput } from '../../json/storable.ts'
import { untilAnswered } from '../statements/until-answered.ts'
import { guarded, settleWindows } from './guarded.ts'

export interface CommitRules {
  /** Called after the user's function, before Piko writes its own rows. It throws if the attempt has been ended. */
  readonly isWanted: () => void
  /** Aborts when the attempt must end. Then the function is no longer awaited, and its writes are rolled back. */
  readonly signal: AbortSignal
  /** The rows that the attempt wrote to fenced tables. Default: none. */
  readonly tables?: readonly TableRows[]
  /** The version of the job's config that the attempt used. */
  readonly configVersion?: number | undefined
  /** When the parts of the attempt ended; see `marksText`. */
  readonly phases?: string | undefined
  /** Aborts when the process no longer waits for the result of the commit. */
  readonly giveUp: AbortSignal
}

/**
 * Stores the user's writes, the run's success and its window's state in one transaction. Retries after a deadlock, a lock timeout, a busy
 * file, or a connection that broke before the commit was sent.
 *
 * Locks the run's row only after `fn`. So if the process is suspended during `fn`, another node can recover the run immediately, and need
 * not wait until the server closes the connection.
 *
 * If the answer to the commit is lost, the commit may still have been executed. So this reads the run's row until the database answers.
 *
 * @returns the result of `fn`, which is stored as the run's output
 * @throws PikoError `COMMIT_UNKNOWN` if `giveUp` aborts before the database answers. With any other error, nothing is written: `LEASE_LOST`
 * if the claim is no longer valid, `TRANSACTION_TIMEOUT`, `USAGE` for an output that can't be stored, the reason of `signal`, and the
 * errors of `fn` and `isWanted`
 */
export async function commitRun<T>(
  database: Database,
  nodeId: string,
  claim: Claim,
  fn: (trx: SqlExecutor) => Promise<T>,
  { isWanted, tables = [], signal, giveUp, configVersion, phases }: CommitRules,
): Promise<T> {
  const { dialect } = database
  let done: { readonly value: T } | undefined
  try {
    return await database.transaction((trx) =>
      database.enter(async () => {
        done = undefined
        const value = await withExecutor(trx, dialect, { ms: database.transactionMs, giveUp: signal }, fn)
        const output = toJson(storableOutput(value, claim.jobId, dialect.sizes.value), 'output')
        isWanted()
        const { numUpdatedRows } = await guarded(trx, database.dialect, nodeId, [claim])
          .set({
            ...{ state: 'succeeded', error: null, output, finished_at: dialect.now() },
            ...(configVersion !== undefined && { config_version: configVersion }),
            ...(phases !== undefined && { phases }),
          })
          .executeTakeFirstOrThrow()
        if (numUpdatedRows === 0n) throw leaseLost(claim)
        note(trx, () => runGroups([claim], 'succeeded', nodeId))
        await settleWindows(trx, dialect, [{ claim, transition: { to: 'succeeded', tables } }])
        done = { value }
        return value
      }),
    )
  } catch (error) {
    // Everything was written and the commit was sent. Only the database knows whether the commit was executed.
    if (!done) throw error
    const committed = await untilAnswered(() => isSucceeded(database, claim), giveUp)
    if (committed) return done.value
    throw committed === false && isPikoError(error, 'COMMIT_UNKNOWN') ? error.cause : error
  }
}

/** Whether the run has succeeded. If a commit is still running on a lost connection, this function waits for its lock on the row. */
function isSucceeded({ transaction, dialect }: Database, { runId, fence }: Claim): Promise<boolean> {
  return transaction(async (trx) => {
    const row = await trx
      .selectFrom('piko_run')
      .select(['state', 'claims'])
      .where('id', '=', runId)
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirst()
    return row?.state === 'succeeded' && fenceOf(runId, row.claims) === fence
  })
}

function leaseLost({ runId, jobId, fence }: Claim): PikoError {
  return new PikoError(
    'LEASE_LOST',
    `run ${runId} of job "${jobId}" is no longer held by the claim with fence ${fence}: its commit stored nothing`,
    { details: { runId, jobId, fence } },
  )
}
