import { sql, type Transaction } from 'kysely'
import { type Attempt, type AttemptOutcome, attemptOutcome, failure } from '../../run/attempt.ts'
import { type Marks, marksOf, phasesOf } from '../../run/phases.ts'
import type { Claim, Run, Transition } from '../../run/run.ts'
import type { RunError } from '../../run/run-error.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { soundRows } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { fromJson, toJson } from '../../json/json.ts'
import { optionalDate } from '../runs/run-row.ts'
import type { Tables } from '../tables.ts'

export interface EndedAttempt {
  readonly runId: number
  readonly fence: number
  readonly attempt: number
  readonly nodeId: string
  readonly outcome: AttemptOutcome
  readonly error?: RunError | undefined
  /** When the parts of the attempt ended; see `marksText`. */
  readonly phases?: string | undefined
}

const MAX_ROWS = 500
/** The size of a row without its error, in bytes. */
const ROW_BYTES = 350

/**
 * The history of unsuccessful attempts. The transaction that ends an attempt also writes its row. A successful attempt has no row: it is
 * the run's last attempt, and the run's own row has all its data. So nothing is written here in the normal case.
 */
export class AttemptStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Returns the attempts of a run, oldest first. If the last one has no row here, it is read from the run's row. */
  async list(run: Run): Promise<Attempt[]> {
    const { db, dialect } = this.#database
    const rows = await db.selectFrom('piko_attempt').selectAll().where('run_id', '=', run.id).orderBy('fence').execute()
    const own = await db.selectFrom('piko_run').select('phases').where('id', '=', run.id).executeTakeFirst()
    const recorded = soundRows(dialect, 'piko_attempt', rows, this.#database.broken.report).map((row) => ({
      attempt: row.attempt,
      fence: row.fence,
      nodeId: row.node_id ?? undefined,
      startedAt: optionalDate(row.started_at, dialect),
      finishedAt: optionalDate(row.finished_at, dialect),
      outcome: row.outcome,
      error: fromJson(row.error) as RunError | undefined,
      marks: marksOf(row.phases, claimsOf(run.id, row.fence)),
    }))
    const last = lastOf(run)
    const isRecorded = last === undefined || recorded.at(-1)?.fence === last.fence
    const all = isRecorded
      ? recorded
      : [...recorded, { ...last, marks: marksOf(own?.phases, claimsOf(run.id, last.fence)) }]
    return withPhases(all, run)
  }
}

type Unphased = Omit<Attempt, 'phases'>

function withPhases(attempts: readonly (Unphased & { readonly marks: Marks | undefined })[], run: Run): Attempt[] {
  const [first] = attempts
  // A retry changes when the run is due. Then the first due time is no longer known, so the creation of the run is used instead.
  const due = first?.startedAt && run.runAt > first.startedAt ? run.createdAt : run.runAt
  let freeAt = due > run.createdAt ? due : run.createdAt
  return attempts.map(({ marks, ...attempt }) => {
    const phases = phasesOf(attempt, freeAt, marks)
    freeAt = attempt.finishedAt ?? freeAt
    return { ...attempt, phases }
  })
}

const claimsOf = (runId: number, fence: number): number => fence - runId * FENCE_FACTOR

/** Returns the attempt that the run's own row describes. */
function lastOf(run: Run): Unphased | undefined {
  // The row of a queued run has no data about its last attempt. Cancelling a queued run ends no attempt.
  if (run.startedAt === undefined || run.nodeId === undefined) return undefined
  const { attempt, fence, nodeId, startedAt, finishedAt, error, state } = run
  switch (state) {
    case 'running':
      return { attempt, fence, nodeId, startedAt, finishedAt: undefined, outcome: 'running', error: undefined }
    case 'succeeded':
    case 'cancelled':
      return { attempt, fence, nodeId, startedAt, finishedAt, outcome: state, error }
    case 'failed':
      return { attempt, fence, nodeId, startedAt, finishedAt, outcome: failure(error), error }
    case 'queued':
    case 'skipped':
      return undefined
  }
}

/**
 * Returns the record of an ended claim. Successes have none. Waits of `ctx.until` have none either, because a single wait may end thousands
 * of claims.
 */
export function endedAttempt(nodeId: string, claim: Claim, transition: Transition, phases?: string): EndedAttempt[] {
  if (transition.to === 'succeeded' || (transition.to === 'queued' && transition.isWaiting)) return []
  const { runId, fence, attempt } = claim
  return [{ runId, fence, attempt, nodeId, outcome: attemptOutcome(transition), error: transition.error, phases }]
}

/**
 * Records ended attempts, many in one statement, in the transaction that ends them, after the runs' rows were written. An existing row is
 * kept; there is one if the answer to an earlier commit was lost.
 */
export async function recordAttempts(
  trx: Transaction<Tables>,
  dialect: Dialect,
  ends: readonly EndedAttempt[],
): Promise<void> {
  const rows = ends.map((end) => ({ end, error: toJson(end.error, 'error') }))
  const limits = { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }
  for (const batch of batchesOf(rows, ({ error }) => ROW_BYTES + sentBytes(error), limits)) {
    const insert = trx.insertInto('piko_attempt').values((eb) =>
      batch.map(({ end, error }) => ({
        run_id: end.runId,
        fence: end.fence,
        attempt: end.attempt,
        node_id: end.nodeId,
        started_at: eb.selectFrom('piko_run').select('started_at').where('id', '=', end.runId),
        finished_at: dialect.now(),
        outcome: end.outcome,
        error,
        phases: end.phases ?? null,
      })),
    )
    await dialect.insertIgnore(insert).execute()
  }
}

/**
 * Records the last attempts of failed and cancelled runs, unless they are recorded already. Runs that are older than the table of attempts
 * have no record.
 */
export async function recordLastAttempts(
  trx: Transaction<Tables>,
  dialect: Dialect,
  runIds: readonly number[],
): Promise<void> {
  const insert = trx
    .insertInto('piko_attempt')
    .columns(['run_id', 'fence', 'attempt', 'node_id', 'started_at', 'finished_at', 'outcome', 'error', 'phases'])
    .expression((eb) =>
      eb
        .selectFrom('piko_run')
        .select([
          'id',
          sql<number>`id * ${sql.lit(FENCE_FACTOR)} + claims`.as('fence'),
          'attempt',
          'node_id',
          'started_at',
          'finished_at',
          'state',
          'error',
          'phases',
        ])
        .where('id', 'in', runIds)
        .where('node_id', 'is not', null)
        .where('state', 'in', ['failed', 'cancelled']),
    )
  await dialect.insertIgnore(insert).execute()
}
