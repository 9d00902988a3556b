import { createHash } from 'node:crypto'
import { describe } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { ConfigOption, InputOption, JobRef, JobTypes } from '../../job/job-types.ts'
import { mapInTurns } from '../../loop-turn.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import { isKey } from '../../store/values/exact-key.ts'
import type { EnqueueItem } from '../runs/run-request.ts'
import type { BatchStatus } from './batch-status.ts'

/** One run of a batch. */
export type BatchItem = Omit<EnqueueItem, 'idempotencyKey'>

/** {@link BatchItem} for a job whose types are known. */
export type BatchItemOf<T extends JobTypes> = [T['windowed']] extends [true]
  ? WindowsNeedBackfill
  : Omit<BatchItem, 'config' | 'input'> & ConfigOption<T> & InputOption<T>

/** The compiler shows this type in its error message. */
type WindowsNeedBackfill = 'a job with windows: use app.backfills.create'

/** Options of `app.batch`. */
export interface BatchOptions {
  /**
   * Identifies the batch within its job: 1 to 255 characters. A call with the same key, items and options returns the same batch. If the
   * process of an earlier call has died, it also completes the batch. Default: every call creates a new batch.
   */
  readonly key?: string
  /** A job that runs once when all runs have ended, whether they succeeded or not. Its input is a `BatchDone`. */
  readonly onDone?: JobRef
  /** The priority; runs with a smaller number start first. An item may have its own priority. Default: the job's priority. */
  readonly priority?: number
}

/** Options for waiting for a batch. */
export interface BatchWait {
  /** Aborting this signal ends the wait, but not the batch. */
  readonly signal?: AbortSignal
  /** Called repeatedly with the status; the last call has the final status. */
  readonly onProgress?: (status: BatchStatus) => void
}

/** Which runs of a batch to replay. */
export interface BatchReplay {
  /** The state of the runs to replay. Default `'failed'`. */
  readonly state?: 'failed' | 'cancelled'
  /** Only counts the runs that would be queued. Default false. */
  readonly dryRun?: boolean
}

/** The maximum number of runs of one batch. */
export const MAX_BATCH_ITEMS = 1_000_000
const MAX_KEY_LENGTH = 255

/** Checks the arguments of a batch. @throws PikoError `USAGE` */
export function assertBatch(items: unknown, { key }: BatchOptions): void {
  const problems: string[] = []
  if (!Array.isArray(items))
    problems.push(`items are ${describe(items)}; expected a list of items, such as [{ input: 1 }]`)
  else if (items.length > MAX_BATCH_ITEMS)
    problems.push(
      `there are ${items.length} items; expected at most ${MAX_BATCH_ITEMS}: split them into several batches`,
    )
  if (key !== undefined && !isKey(key, MAX_KEY_LENGTH))
    problems.push(
      `key is ${describe(key)}; expected a string of 1 to ${MAX_KEY_LENGTH} characters (without lone surrogates; one character less if it ends with a space)`,
    )
  if (problems.length > 0)
    throw new PikoError('USAGE', `app.batches.create: ${problems.join('; ')}`, { details: { problems } })
}

/** Returns the SHA-256 of the items and options of a batch, to compare it with a later request that has the same key. */
export async function digestOf(
  runs: readonly NewRun[],
  given: readonly BatchItem[],
  options: {
    readonly onDone: string | undefined
    readonly priority: number | undefined
  },
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([options.onDone, options.priority]))
  // The default priority may change with a deploy, so only a requested priority is compared.
  await mapInTurns(runs, ({ config, input, runAt }, index) =>
    hash.update(`\n${JSON.stringify([config, input, runAt, given[index]?.priority])}`),
  )
  return hash.digest('hex')
}
