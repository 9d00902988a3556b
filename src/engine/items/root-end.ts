import { counted } from '../../counted.ts'
import { PikoError, toError } from '../../errors.ts'
import { isTooManyDead } from '../../job/items/item-policy.ts'
import type { Outcome } from '../../run/run.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { SinkPool } from '../../sink/sink-pool.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { AttemptItems, LiveAttempt } from '../attempt/live-attempt.ts'

export interface RootEndParts {
  readonly store: Pick<ItemStore, 'counts'>
  readonly sinks: Pick<SinkPool, 'clearOlder'>
}

/**
 * Returns the outcome of a run whose items have ended. If the run succeeds and has a window, this also deletes the rows of older
 * generations from its sinks.
 *
 * Never rejects.
 */
export async function rootOutcome(
  { store, sinks }: RootEndParts,
  attempt: LiveAttempt,
  items: AttemptItems,
  success: Outcome,
): Promise<Outcome> {
  const { job, claim, signal, log } = attempt
  try {
    const counts = await store.counts(items.fence)
    const sumOf = (what: string): number =>
      counts.reduce((sum, count) => sum + (count.what === what ? count.amount : 0), 0)
    const [dead, stored] = [sumOf('dead'), sumOf('stored')]
    if (job.policy.items && isTooManyDead(job.policy.items, dead, stored)) {
      return { kind: 'failure', error: tooManyDead(attempt, dead, stored), isPermanent: true }
    }
    const cancelled = sumOf('cancelled')
    if (cancelled > 0) return { kind: 'failure', error: someCancelled(attempt, cancelled), isPermanent: true }
    const { runId, jobId, window } = claim
    if (window) {
      const map = (job.spec.sinks as SinkMap | undefined) ?? {}
      await sinks.clearOlder(map, { runId, jobId, window, signal, log, attempt: claim.attempt, fence: items.fence })
    }
    return success
  } catch (thrown) {
    // The items are done. The run returns to the queue, and ends when the database is available again.
    if (databaseFault(thrown) === 'outage') return { kind: 'interrupted' }
    return { kind: 'failure', error: toError(thrown) }
  }
}

function tooManyDead({ claim: { runId, jobId } }: LiveAttempt, dead: number, stored: number): PikoError {
  return new PikoError(
    'ITEMS_DEAD',
    `${dead} of ${counted(stored, 'item')} of run ${runId} of job "${jobId}" ${dead === 1 ? 'is' : 'are'} dead, more than it tolerates: look at them with piko items list ${runId} --state dead, and run them again with piko items replay ${runId}`,
    { details: { runId, jobId, dead, stored } },
  )
}

/** Returns the error of a run that was cancelled and then reopened: the items that the cancellation ended were never executed. */
function someCancelled({ claim: { runId, jobId } }: LiveAttempt, cancelled: number): PikoError {
  return new PikoError(
    'ITEMS_CANCELLED',
    `${counted(cancelled, 'item')} of run ${runId} of job "${jobId}" ${cancelled === 1 ? 'was' : 'were'} cancelled and not done: to run what is left, use piko items replay ${runId} --state cancelled`,
    { details: { runId, jobId, cancelled } },
  )
}
