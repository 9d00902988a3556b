import { checkedCall } from '../../call-options.ts'
import { anything, type OptionChecks } from '../../options.ts'
import { describe, PikoError } from '../../errors.ts'
import type { ConfigOption, InputOption, JobTypes } from '../../job/job-types.ts'
import { isPriority } from '../../job/spec.ts'
import { RUN_STATES, type RunState } from '../../run/run.ts'
import type { EnqueueTransaction } from '../../store/statements/user-transaction.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import { isKey } from '../../store/values/exact-key.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import type { InstantInput } from '../../time/instant.ts'
import type { WindowInput } from '../../time/local-dates.ts'

/** Options of `app.run`. */
export interface RunOptions {
  /**
   * Overrides of the job's config. They are checked now, in the form in which the database will return them, and again when the run starts.
   */
  readonly config?: unknown
  /**
   * The input of the run: any JSON value. The handler receives it as `ctx.input`. Values that JSON would lose or replace (a `Map`, `NaN`)
   * are refused.
   */
  readonly input?: unknown
  /**
   * The window to run, or to run again. It is given by its start: an instant with its zone, or a date in the job's zone (`'2025-06-15'`) if
   * it starts with a day. Required for a job with windows.
   */
  readonly window?: WindowInput
  /** The earliest time at which the run starts. Default: now. */
  readonly runAt?: InstantInput
  /** The priority; runs with a smaller number start first. Default: the job's priority. */
  readonly priority?: number
  /**
   * Requests the run only once. If a run of the job with this key is queued, running or succeeded, the call returns that run. `period`
   * considers only runs that were requested within that time, `states` only runs in these states. Not for windows, because each window has
   * only one run at a time.
   */
  readonly idempotencyKey?: string | IdempotencyKey
  /** Resolves only when the run has ended. Default false. */
  readonly wait?: boolean
  /** Aborting this signal ends only the wait; the run continues. */
  readonly signal?: AbortSignal
}

/** The id of a run. At run time it is a number; its type also contains the type of the job's output. */
export type RunId<Out = unknown> = number & { readonly [OUTPUT]?: Out }
declare const OUTPUT: unique symbol

/** An idempotency key with its rules. */
export interface IdempotencyKey {
  /** The key, from 1 to 255 characters. */
  readonly key: string
  /** How long the key prevents another run. Default: until the run is deleted. */
  readonly period?: Duration
  /** An existing run in one of these states is returned instead. Default `['queued', 'running', 'succeeded']`. */
  readonly states?: readonly RunState[]
}

/** {@link RunOptions} for a job whose types are known. */
export type RunOptionsOf<T extends JobTypes> = Omit<RunOptions, 'config' | 'input' | 'window'> &
  ConfigOption<T> &
  InputOption<T> &
  WindowOption<T>

/** The option `window`: required for a job with windows, not allowed for any other job. */
type WindowOption<T extends JobTypes> = [T['windowed']] extends [true]
  ? { readonly window: WindowInput }
  : [T['windowed']] extends [false]
    ? { readonly window?: undefined }
    : { readonly window?: WindowInput }

/** The arguments after the job. The options may be omitted if none is required. */
export type RunArguments<T extends JobTypes> =
  Record<never, never> extends RunOptionsOf<T> ? [options?: RunOptionsOf<T>] : [options: RunOptionsOf<T>]

/** {@link EnqueueItem} for a job whose types are known. */
export type EnqueueItemOf<T extends JobTypes> = [T['windowed']] extends [true]
  ? WindowsNeedRun
  : Omit<EnqueueItem, 'config' | 'input'> & ConfigOption<T> & InputOption<T>

/** {@link EnqueueOptions} for a job whose types are known. */
export type EnqueueOptionsOf<T extends JobTypes> = EnqueueItemOf<T> & Pick<EnqueueOptions, 'trx'>

/** The arguments after the job. The options may be omitted if none is required. */
export type EnqueueArguments<T extends JobTypes> =
  Record<never, never> extends EnqueueOptionsOf<T> ? [options?: EnqueueOptionsOf<T>] : [options: EnqueueOptionsOf<T>]

/** The compiler shows this type in its error message. */
type WindowsNeedRun = 'a job with windows: use app.run(job, { window }) or app.backfills.create'

/** One run of `app.enqueueMany`. */
export type EnqueueItem = Omit<RunOptions, 'wait' | 'signal' | 'window'>

/** Options of `app.enqueue`. */
export interface EnqueueOptions extends EnqueueItem {
  /**
   * Stores the run inside this transaction, so it exists if and only if the transaction commits. Accepts the `trx` of `app.sql.transaction`
   * or `ctx.commit`, a Kysely transaction, or a connection of `mysql2/promise`, on Piko's database.
   */
  readonly trx?: EnqueueTransaction
}

/**
 * Refuses a request that the database would refuse. Requests are stored in batches, and one refused request must not make the others fail.
 */
export function assertStorable({ priority }: RunOptions): void {
  if (priority !== undefined && !isPriority(priority)) {
    throw new PikoError('USAGE', `priority is ${describe(priority)}; expected a whole number from -32768 to 32767`)
  }
}

const KEY_STATES: readonly RunState[] = ['queued', 'running', 'succeeded']
const MAX_KEY_LENGTH = 255
const KEY_OPTIONS: OptionChecks<IdempotencyKey> = { key: anything, period: anything, states: anything }

/** @throws PikoError `USAGE` */
export function uniqueOf(given: string | IdempotencyKey | undefined): NewRun['unique'] {
  if (given === undefined) return undefined
  const {
    key,
    period,
    states = KEY_STATES,
  } = typeof given === 'string' ? { key: given } : checkedCall('idempotencyKey', KEY_OPTIONS, given)
  if (!isKey(key, MAX_KEY_LENGTH)) {
    throw new PikoError(
      'USAGE',
      `idempotencyKey is ${describe(key)}; expected a string of 1 to ${MAX_KEY_LENGTH} characters (without lone surrogates; one character less if it ends with a space)`,
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
