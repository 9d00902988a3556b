import { describe, PikoError } from '../errors.ts'
import { isPriority } from '../job/spec.ts'
import { RUN_STATES, type RunState } from '../run/run.ts'
import { type EnqueueTransaction } from '../store/statements/user-transaction.ts'
import { type NewRun } from '../store/runs/new-run.ts'
import { isKey } from '../store/values/exact-key.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { type InstantInput } from '../time/instant.ts'

/** How `app.run` asks for a run. */
export interface RunOptions {
  /** Overrides of the job's config; checked here, as the database will hand them back, and again when the run starts. */
  readonly config?: unknown
  /** Any JSON value, handed to the handler as `ctx.input`. What JSON would lose or replace (a `Map`, `NaN`) is refused. */
  readonly input?: unknown
  /**
   * Run this window again: its start, an instant on the grid of the job's windows, as a text with its zone. Required for a
   * job with windows.
   */
  readonly window?: InstantInput
  /** Not before this instant. Default: now. */
  readonly runAt?: InstantInput
  /** Smaller runs first. Default: the job's. */
  readonly priority?: number
  /**
   * Ask only once: while a run of the job with this key is queued, running or succeeded, it is that run which is returned. With
   * `period` only if it was asked for within that time, with `states` only if it is in one of these. Not for windows, of which each
   * has one run at a time anyway.
   */
  readonly idempotencyKey?: string | IdempotencyKey
  /** Resolve only when the run is settled. */
  readonly wait?: boolean
  /** Ends the waiting, not the run. */
  readonly signal?: AbortSignal
}

/** A key with its rules. */
export interface IdempotencyKey {
  /** 1 to 255 characters. */
  readonly key: string
  /** Default: as long as the run is kept. */
  readonly period?: Duration
  /** Default `['queued', 'running', 'succeeded']`. */
  readonly states?: readonly RunState[]
}

/** One of the runs that `app.enqueueMany` asks for. */
export type EnqueueItem = Omit<RunOptions, 'wait' | 'signal' | 'window'>

/** How `app.enqueue` asks for a run. */
export interface EnqueueOptions extends EnqueueItem {
  /**
   * Store the run inside of this transaction, so that it exists if and only if the transaction commits: the `trx` of
   * `app.sql.transaction` or `ctx.commit`, a Kysely transaction, or a connection of `mysql2/promise`, on the database that
   * Piko runs on.
   */
  readonly trx?: EnqueueTransaction
}

/** Requests are stored many at once: one that the database would refuse must not take the others with it. */
export function assertStorable({ priority }: RunOptions): void {
  if (priority !== undefined && !isPriority(priority)) {
    throw new PikoError('USAGE', `priority is ${describe(priority)}; expected a whole number from -32768 to 32767`)
  }
}

const KEY_STATES: readonly RunState[] = ['queued', 'running', 'succeeded']
const MAX_KEY_LENGTH = 255

/** @throws PikoError `USAGE` */
export function uniqueOf(given: string | IdempotencyKey | undefined): NewRun['unique'] {
  if (given === undefined) return undefined
  const { key, period, states = KEY_STATES } = typeof given === 'string' ? { key: given } : given
  if (!isKey(key, MAX_KEY_LENGTH)) {
    throw new PikoError(
      'USAGE',
      `idempotencyKey is ${describe(key)}; expected a text of 1 to ${MAX_KEY_LENGTH} characters (well-formed; one less if it ends with a blank)`,
    )
  }
  if (
    !Array.isArray(states) ||
    states.length === 0 ||
    states.some((state: unknown) => !RUN_STATES.includes(state as RunState))
  ) {
    throw new PikoError(
      'USAGE',
      `states of idempotencyKey ${describe(key)} are ${describe(states)}; expected a list of ${RUN_STATES.join(', ')}`,
    )
  }
  return { key, states, periodMs: period === undefined ? undefined : durationMs(period, 'period of idempotencyKey') }
}
