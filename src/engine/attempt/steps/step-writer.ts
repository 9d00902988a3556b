import { setTimeout as sleep } from 'node:timers/promises'
import { headline } from '../../../errors-read.ts'
import { PikoError, toError } from '../../../errors.ts'
import { databaseFault } from '../../../sql/database-faults.ts'
import { stepLeaseLost } from '../../../store/steps/commit-step.ts'
import type { NewStep } from '../../../store/steps/new-step.ts'
import type { StepStore } from '../../../store/steps/step-store.ts'
import type { StepStored } from '../../../store/steps/add-steps.ts'
import { Batcher } from '../../loop/batcher.ts'
import type { StepAttempt } from './step-attempt.ts'

interface Item {
  readonly step: NewStep
  readonly attempt: StepAttempt
}

const RETRY_MS = 200

/** Stores the steps of all runs of a node, many in one statement. Retries while the database does not answer. */
export class StepWriter {
  readonly #store: Pick<StepStore, 'add'>
  readonly #batcher: Batcher<Item, StepStored>
  readonly #abandoned: AbortSignal

  /** @param abandoned aborts when a stop no longer waits for the database */
  constructor(store: Pick<StepStore, 'add'>, abandoned: AbortSignal) {
    this.#store = store
    this.#abandoned = abandoned
    this.#batcher = new Batcher((items) => this.#write(items), { lanes: 2 })
  }

  /**
   * Resolves when the step is stored.
   *
   * @throws PikoError `LEASE_LOST` if the claim is no longer valid, `STEP_RESULT` if the database refuses the step
   */
  async add(attempt: StepAttempt, step: NewStep): Promise<void> {
    const stored = await this.#batcher.add({ step, attempt })
    if (stored === 'lost') throw stepLeaseLost(step)
    if (stored !== 'stored') throw refused(step, stored.refusal)
  }

  async #write(items: readonly Item[]): Promise<readonly StepStored[]> {
    for (;;) {
      try {
        return await this.#store.add(items.map(({ step }) => step))
      } catch (thrown) {
        const isWanted = !this.#abandoned.aborted && items.some(({ attempt }) => !attempt.abortReason)
        if (!isWanted || !isPassing(thrown)) throw thrown
        await sleep(RETRY_MS)
      }
    }
  }
}

/** Whether the same statement may succeed later. */
export function isPassing(error: unknown): boolean {
  const fault = databaseFault(error)
  return fault === 'outage' || fault === 'contention'
}

function refused({ name, claim: { runId, jobId } }: NewStep, refusal: unknown): PikoError {
  return new PikoError(
    'STEP_RESULT',
    `step "${name}" of run ${runId} of job "${jobId}" can't be stored: the database refuses it: ${headline(refusal)}; check triggers and constraints on piko_step`,
    { cause: toError(refusal), details: { runId, jobId, step: name } },
  )
}
