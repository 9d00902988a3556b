import type { Selectable } from 'kysely'
import { describe } from '../../errors.ts'
import { type Claim, type RatePlace, type Run, RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import type { RunError } from '../../run/run-error.ts'
import type { Window } from '../../time/window.ts'
import type { Dialect } from '../connection/dialect.ts'
import { fenceOf } from './fence.ts'
import { fromJson, toJson } from '../../json/json.ts'
import type { RunTable } from '../tables.ts'
import type { NewRun } from './new-run.ts'

export const CLAIM_COLUMNS = [
  'id',
  'job_id',
  'kind',
  'run_at',
  'tick',
  'window_start',
  'window_end',
  'attempt',
  'claims',
  'config',
  'input',
  'concurrency_key',
  'rate_key',
  'backfill_id',
  'trace',
] as const

/** The columns that a claim needs. */
export interface ClaimRow extends Pick<Selectable<RunTable>, (typeof CLAIM_COLUMNS)[number]> {
  /** The priority; read only for an early claim. */
  readonly priority?: number
}

/** Creates the claim from a row, with the `attempt` and `claims` that the row will have. */
export function claimOf(row: ClaimRow, dialect: Dialect, place?: RatePlace): Claim {
  return {
    runId: row.id,
    jobId: row.job_id,
    kind: oneOf(RUN_KINDS, row.kind),
    attempt: counted(row.attempt) + 1,
    fence: fenceOf(row.id, counted(row.claims) + 1),
    runAt: dialect.date(row.run_at),
    tick: optionalDate(row.tick, dialect),
    window: windowOf(row, dialect),
    config: fromJson(row.config),
    input: fromJson(row.input),
    concurrencyKey: row.concurrency_key ?? undefined,
    backfillId: row.backfill_id ?? undefined,
    trace: row.trace ?? undefined,
    place,
  }
}

/**
 * Creates the claim of a run that was stored as claimed, with the same values as in its row. The fields have the same order as in
 * {@link claimOf}, and none is spread, so that all claims have one compact layout in memory.
 */
export function firstClaimOf(runId: number, run: NewRun, now: Date): Claim {
  return {
    runId,
    jobId: run.jobId,
    kind: run.kind,
    attempt: 1,
    fence: fenceOf(runId, 1),
    runAt: run.runAt ?? now,
    tick: run.tick,
    window: run.window,
    config: fromJson(toJson(run.config, 'config')),
    input: fromJson(toJson(run.input, 'input')),
    concurrencyKey: run.concurrencyKey,
    backfillId: run.backfillId,
    trace: run.trace,
    place: undefined,
  }
}

export function runOf(row: Omit<Selectable<RunTable>, 'trace' | 'phases'>, dialect: Dialect): Run {
  return {
    id: row.id,
    jobId: row.job_id,
    state: oneOf(RUN_STATES, row.state),
    kind: oneOf(RUN_KINDS, row.kind),
    priority: row.priority,
    runAt: dialect.date(row.run_at),
    tick: optionalDate(row.tick, dialect),
    window: windowOf(row, dialect),
    backfillId: row.backfill_id ?? undefined,
    attempt: counted(row.attempt),
    nodeId: row.node_id ?? undefined,
    fence: fenceOf(row.id, counted(row.claims)),
    config: fromJson(row.config),
    configVersion: row.config_version ?? undefined,
    input: fromJson(row.input),
    output: fromJson(row.output),
    error: fromJson(row.error) as RunError | undefined,
    reason: row.reason ?? undefined,
    createdAt: dialect.date(row.created_at),
    startedAt: optionalDate(row.started_at, dialect),
    finishedAt: optionalDate(row.finished_at, dialect),
    cancelRequestedAt: optionalDate(row.cancel_requested_at, dialect),
  }
}

/** Refuses text. SQLite stores text even in a number column, and adding a number to it would produce another string. */
function counted(value: number): number {
  if (Number.isInteger(value) && value >= 0) return value
  throw new RangeError(`a stored count is ${describe(value)}; expected a whole number of 0 or more`)
}

function oneOf<T extends string>(words: readonly T[], value: T): T {
  if (words.includes(value)) return value
  throw new RangeError(`a stored value is ${describe(value)}; expected one of ${words.join(', ')}`)
}

export function optionalDate(value: Date | string | null, dialect: Dialect): Date | undefined {
  return value === null ? undefined : dialect.date(value)
}

export function windowOf(
  row: Pick<Selectable<RunTable>, 'window_start' | 'window_end'>,
  dialect: Dialect,
): Window | undefined {
  if (row.window_start === null || row.window_end === null) return undefined
  return { start: dialect.date(row.window_start), end: dialect.date(row.window_end) }
}
