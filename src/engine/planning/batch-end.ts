import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { BatchCounts, BatchEnd } from '../../run/batch.ts'
import type { DoneRun } from '../../store/batches/settle-batch.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import type { PrepareRun } from '../prepare-run.ts'

/** The input of a batch's `onDone` job. */
export interface BatchDone extends Pick<BatchCounts, 'succeeded' | 'failed' | 'cancelled'> {
  readonly batchId: number
  /** The job whose runs have ended. */
  readonly jobId: string
  readonly key: string | null
  readonly state: BatchEnd
  /** The number of items. */
  readonly total: number
}

/**
 * Creates the run of a batch's `onDone` job. It does so even if this node's code does not know the job, because perhaps no other node
 * will end the batch. In that case, the run has the priority 0, and limits with keys do not apply to it.
 */
export function doneRunBy(registry: Pick<JobRegistry, 'find'>, prepare: Pick<PrepareRun, 'keyed'>): DoneRun {
  return (batch, { succeeded, failed, cancelled }, state) => {
    const { id, jobId, total, key = null, onDone } = batch
    if (onDone === undefined) return undefined
    const input: BatchDone = { batchId: id, jobId, key, state, total, succeeded, failed, cancelled }
    const job = registry.find(onDone)
    const run: NewRun = { jobId: onDone, kind: 'manual', priority: job?.policy.priority ?? 0, input }
    return job ? keyed(prepare, job, run) : run
  }
}

/**
 * Adds the keys of the limits. Adds none if the user's key functions fail. That is unlikely, because they accepted a similar input when the
 * batch was created.
 */
function keyed(prepare: Pick<PrepareRun, 'keyed'>, job: JobDefinition, run: NewRun): NewRun {
  try {
    return prepare.keyed(job, run)
  } catch {
    return run
  }
}
