import type { Clock } from '../../../clock.ts'
import { headline } from '../../../errors-read.ts'
import { PikoError, toError } from '../../../errors.ts'
import { stepLeaseLost } from '../../../store/steps/commit-step.ts'
import type { NewStep } from '../../../store/steps/new-step.ts'
import type { StepStore } from '../../../store/steps/step-store.ts'
import type { StepStored } from '../../../store/steps/add-steps.ts'
import { Batcher } from '../../loop/batcher.ts'
import { isPassing, retried } from '../../loop/retried.ts'
import type { StepAttempt } from './step-attempt.ts'

interface Item {
  readonly step: NewStep
  readonly attempt: StepAttempt
}

/** Stores the steps of all runs of a node, many in one statement. Retries if the database does not answer. */
export class StepWriter {
  readonly #store: Pick<StepStore, 'add'>
  readonly #batcher: Batcher<Item, StepStored>
  readonly #abandoned: AbortSignal
  readonly #clock: Clock

  /** @param abandoned aborts when a stop no longer waits for the database */
  constructor(store: Pick<StepStore, 'add'>, abandoned: AbortSignal, clock: Clock) {
    this.#clock = clock
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

  #write(items: readonly Item[]): Promise<readonly StepStored[]> {
    const isWanted = (): boolean => !this.#abandoned.aborted && items.some(({ attempt }) => !attempt.abortReason)
    return retried(() => this.#store.add(items.map(({ step }) => step)), {
      clock: this.#clock,
      isFinal: (thrown) => !isWanted() || !isPassing(thrown),
    })
  }
}

function refused({ name, claim: { runId, jobId } }: NewStep, refusal: unknown): PikoError {
  return new PikoError(
    'STEP_RESULT',
    `step "${name}" of run ${runId} of job "${jobId}" can't be stored: the database refuses it: ${headline(refusal)}; check triggers and constraints on piko_step`,
    { cause: toError(refusal), details: { runId, jobId, step: name } },
  )
}
