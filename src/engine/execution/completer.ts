import { isFaultOfItem } from '../../sql/database-faults.ts'
import { headline } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { Claim, Transition } from '../../run/run.ts'
import { runError } from '../../run/run-error.ts'
import { halved } from '../../store/statements/halved.ts'
import { MAX_RUNS, type RunStore } from '../../store/runs/run-store.ts'
import { Batcher } from '../loop/batcher.ts'
import { retried } from '../loop/retried.ts'
import type { Clock } from '../../clock.ts'
import type { LoopHealth } from '../loop/loop-health.ts'
import { REPEAT_MS, UnstoredEnds } from './unstored-ends.ts'
import type { Finish, FinishResult } from '../../store/runs/finish.ts'

/** A finish by the node that holds the claim. */
export interface HeldFinish extends Finish {
  readonly nodeId: string
}

/**
 * How the outcome was stored. `unstorable`: the database refused it, so the run is stored as failed with this error. `cancelled`: the run
 * should have been queued again but had a cancel request. `reopened`: the run is queued again, because some of its items are queued again.
 * `lost`: the claim was no longer valid, so nothing was written.
 */
export type Stored = 'stored' | 'cancelled' | 'reopened' | 'lost' | { readonly unstorable: PikoError }

export interface CompleterParts {
  readonly runs: Pick<RunStore, 'finish'>
  readonly clock: Clock
  readonly loops: LoopHealth
  /** Whether further runs begin in the next turn of the event loop. They may end immediately; their outcomes are then written together. */
  readonly isMoreComing?: () => boolean
}

/**
 * Writes the outcomes of runs, many per statement; their fences guard the write. Retries if the database does not answer. If the node's
 * lease ends before the write, another node executes the run again, and the database refuses the late write.
 */
export class Completer {
  readonly #parts: CompleterParts
  readonly #batcher: Batcher<HeldFinish, Stored>
  readonly #unstored: UnstoredEnds
  #isAbandoned = false

  constructor(parts: CompleterParts) {
    this.#parts = parts
    this.#unstored = new UnstoredEnds(parts.runs, parts.clock)
    this.#batcher = new Batcher((items) => this.#write(items), {
      largest: MAX_RUNS,
      // If the write is given up, nothing else needs to be done. An event has already reported the failure, the process is ending, and the
      // run returns to the queue when its lease ends.
      ifFailed: 'lost',
      ...(parts.isMoreComing && { isMoreComing: parts.isMoreComing }),
    })
  }

  /**
   * Queues the outcome of a run for the next write.
   *
   * @param stored receives the result; also receives `'lost'` if the process ends before the write
   */
  finish(finish: HeldFinish, stored: (how: Stored) => void): void {
    this.#batcher.push(finish, stored)
  }

  /** The fences of claims whose outcomes the database refuses. These runs were executed and must not be executed again. */
  get unstored(): Iterable<number> {
    return this.#unstored.fences
  }

  /** Stops trying to store refused outcomes. */
  stop(): void {
    this.#unstored.stop()
  }

  /** Stops waiting for a database that does not answer. Called at the end of a shutdown. */
  abandon(): void {
    this.#isAbandoned = true
  }

  async #write(items: readonly HeldFinish[]): Promise<Stored[]> {
    const others = new Map<Claim, Stored>()
    for (const [nodeId, finishes] of Map.groupBy(items, (item) => item.nodeId)) {
      const results = await halved(
        finishes,
        (some) => this.#persist(nodeId, some),
        (finish, refusal) => this.#persistReduced(nodeId, finish, refusal, others),
        isFaultOfItem,
      )
      for (const { lost, cancelled, reopened } of results) {
        for (const claim of lost) others.set(claim, 'lost')
        for (const claim of cancelled) others.set(claim, 'cancelled')
        for (const claim of reopened ?? []) others.set(claim, 'reopened')
      }
    }
    return items.map((item) => others.get(item.claim) ?? 'stored')
  }

  /**
   * Stores the run as failed, so that it does not stay `running`. If the database refuses this too, the write is retried from time to time.
   */
  async #persistReduced(
    nodeId: string,
    { claim, transition }: Finish,
    refusal: unknown,
    others: Map<Claim, Stored>,
  ): Promise<FinishResult> {
    const error = unstorable(claim, transition, refusal)
    const reduced: Finish = { claim, transition: { to: 'failed', error: runError(error) } }
    try {
      const result = await this.#persist(nodeId, [reduced])
      others.set(claim, { unstorable: error })
      return result
    } catch (thrown) {
      if (!isFaultOfItem(thrown)) throw thrown
      this.#unstored.add(nodeId, reduced)
      const told = { loop: 'completer', thrown: dropped(claim, thrown), retryInMs: REPEAT_MS, failures: 1 }
      this.#parts.loops.failed(told)
      return { lost: [claim], cancelled: [] }
    }
  }

  /** Writes outcomes and retries temporary failures. If the database refuses a value, throws the error, because a retry would not help. */
  #persist(nodeId: string, finishes: readonly Finish[]): Promise<FinishResult> {
    const { runs, clock, loops } = this.#parts
    return retried(() => runs.finish(nodeId, finishes), {
      clock,
      health: { loop: 'completer', loops },
      isFinal: (thrown) => this.#isAbandoned || isFaultOfItem(thrown),
    })
  }
}

function unstorable({ runId, jobId }: Claim, transition: Transition, refusal: unknown): PikoError {
  const end = transition.to === 'queued' ? 'its next attempt' : `its outcome "${transition.to}"`
  return new PikoError(
    'RUN_UNSTORABLE',
    `${end} could not be stored: ${headline(refusal)}; the run has failed instead. Check what its handler returns, its error and its retry times`,
    { cause: toError(refusal), details: { runId, jobId, state: transition.to } },
  )
}

function dropped({ runId, jobId }: Claim, refusal: unknown): PikoError {
  return new PikoError(
    'RUN_UNSTORABLE',
    `the outcome of run ${runId} of job "${jobId}" could not be stored: ${headline(refusal)}; the run stays running, is not executed again here, and this node tries to store its outcome every minute. Check its rows in piko_run, piko_window and piko_attempt, and triggers on these tables`,
    { cause: toError(refusal), details: { runId, jobId } },
  )
}
