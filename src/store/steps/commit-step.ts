import { sql } from 'kysely'
import { isPikoError, PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Database } from '../connection/database.ts'
import type { CommitRules } from '../runs/commit-run.ts'
import { withExecutor } from '../statements/sql-executor.ts'
import { untilAnswered } from '../statements/until-answered.ts'
import { exactKey } from '../values/exact-key.ts'
import { heldRun, type NewStep, STEP_COLUMNS, type StepOwner, stepValues } from './new-step.ts'

/** The result of a step's function, and the step to store with its writes. */
export interface StepDone<T> {
  readonly value: T
  readonly step: NewStep
}

export interface StepCommit<T> extends StepOwner, CommitRules {
  readonly name: string
  /** Whether this attempt has read a row of the step without using it. */
  readonly replaces: boolean
  readonly fn: (trx: SqlExecutor) => Promise<StepDone<T>>
}

/** Returned by `commitStep` if another claim has stored the step since this attempt read the steps. */
export const STORED_BY_ANOTHER = Symbol('stored by another')

/**
 * Stores the user's writes and the step in one transaction. Retries after a deadlock, a lock timeout, a busy file, or a connection that
 * broke before the commit was sent. In all these cases nothing was written.
 *
 * Locks the run's row only after `fn`, as `commitRun` does. In a cluster, another member may return the run to the queue at the same
 * moment. Then the step's row decides, because only one claim can insert it.
 *
 * If the answer to the commit is lost, reads the step's row until the database answers, since the commit may have arrived.
 *
 * @throws PikoError `COMMIT_UNKNOWN` if `giveUp` aborts before the database answers. With any other error, nothing is written: `LEASE_LOST`
 * if the claim is no longer valid, `TRANSACTION_TIMEOUT`, the reason of `signal`, and the errors of `fn` and `isWanted`
 */
export async function commitStep<T>(database: Database, commit: StepCommit<T>): Promise<T | typeof STORED_BY_ANOTHER> {
  const { dialect } = database
  const { claim, name, replaces, fn, isWanted, signal, giveUp } = commit
  let done: { readonly value: T } | undefined
  let isTaken = false
  try {
    return await database.transaction((trx) =>
      database.enter(async () => {
        done = undefined
        isTaken = false
        const { value, step } = await withExecutor(trx, dialect, { ms: database.transactionMs, giveUp: signal }, fn)
        isWanted()
        const { rows } = await heldRun(dialect, commit).execute(trx)
        if (rows.length === 0) throw stepLeaseLost(commit)
        if (replaces)
          await trx
            .deleteFrom('piko_step')
            .where('run_id', '=', claim.runId)
            .where('name', '=', exactKey(name))
            .execute()
        const columns = sql.join(STEP_COLUMNS.map((column) => sql.ref(column)))
        const row = stepValues(dialect, step, sql.lit(claim.runId))
        try {
          await sql`INSERT INTO piko_step (${columns}) VALUES ${row}`.execute(trx)
        } catch (error) {
          isTaken = dialect.isDuplicate(error)
          throw error
        }
        done = { value }
        return value
      }),
    )
  } catch (error) {
    if (isTaken) return STORED_BY_ANOTHER
    // Everything was written and the commit was sent. Only the database knows whether the commit was executed.
    if (!done) throw error
    const committed = await untilAnswered(() => isCommitted(database, commit), giveUp)
    if (committed) return done.value
    throw committed === false && isPikoError(error, 'COMMIT_UNKNOWN') ? error.cause : error
  }
}

/** Whether the step is committed. If a commit is still running on a lost connection, this function waits for its lock on the step's row. */
function isCommitted(
  { transaction, dialect }: Database,
  { claim, name }: StepOwner & { name: string },
): Promise<boolean> {
  return transaction(async (trx) => {
    const row = await trx
      .selectFrom('piko_step')
      .select('fence')
      .where('run_id', '=', claim.runId)
      .where('name', '=', exactKey(name))
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirst()
    return row?.fence === claim.fence
  })
}

export function stepLeaseLost({ claim, name }: StepOwner & { readonly name: string }): PikoError {
  const { runId, jobId, fence } = claim
  return new PikoError(
    'LEASE_LOST',
    `run ${runId} of job "${jobId}" is no longer held by the claim with fence ${fence}: its step "${name}" was not stored`,
    { details: { runId, jobId, fence, step: name } },
  )
}
