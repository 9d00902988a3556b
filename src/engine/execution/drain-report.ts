import { PikoError } from '../../errors.ts'
import type { Claim } from '../../run/run.ts'
import type { EventMap } from '../../events.ts'

/** The maximum number of runs to name in a message. The others are only counted. */
const MAX_NAMED = 20

/** What happened to the runs that were running when the node began to stop. */
export type Drained = EventMap['node.drained']

/** Counts how runs end during a drain. */
export class DrainReport {
  #ended = 0
  #givenBack = 0
  readonly #stillRunning: Claim[] = []
  readonly #leftBehind: Claim[] = []

  ended(): void {
    this.#ended += 1
  }

  givenBack(): void {
    this.#givenBack += 1
  }

  stillRuns(claim: Claim): void {
    this.#stillRunning.push(claim)
  }

  leftBehind(claim: Claim): void {
    this.#leftBehind.push(claim)
  }

  get isWorthTelling(): boolean {
    return this.#ended + this.#givenBack + this.#leftBehind.length > 0
  }

  get drained(): Drained {
    const named = this.#leftBehind.length > 0 ? this.#leftBehind : this.#stillRunning
    return {
      ended: this.#ended,
      givenBack: this.#givenBack,
      stillRunning: this.#stillRunning.length,
      leftBehind: this.#leftBehind.length,
      runs: named.slice(0, MAX_NAMED).map(({ jobId, runId }) => `${jobId} ${runId}`),
    }
  }

  /**
   * Checks that no run was left behind.
   *
   * @throws PikoError `STOP_INCOMPLETE` if the outcomes of some runs could not be stored
   */
  assertNoneLeft(): void {
    const { leftBehind, runs } = this.drained
    if (leftBehind === 0) return
    const names = leftBehind > runs.length ? `${runs.join(', ')} and ${leftBehind - runs.length} more` : runs.join(', ')
    const count = leftBehind === 1 ? '1 run' : `${leftBehind} runs`
    throw new PikoError(
      'STOP_INCOMPLETE',
      `the outcome of ${count} could not be stored: ${names}; when this node's lease ends, another node takes over`,
      { details: { leftBehind, runs } },
    )
  }
}
