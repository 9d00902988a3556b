import { databaseFault, isRefusedValue } from '../../sql/database-faults.ts'
import { MAX_OPEN, type UnfinishedBatch } from '../../store/batches/batch-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import type { Store } from '../../store/store.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { LoopService } from '../loop/loop-service.ts'
import { refusedBatch } from '../refused-runs.ts'
import { doneRunBy } from './batch-end.ts'
import { type DriverParts, UNLED_LOOKS } from './driver-parts.ts'

/** How long to wait between two turns if there is more to do. */
const BREATH_MS = 10
/** The minimum wait if there is nothing to do. */
const MIN_REST_MS = 500
/** How long a batch pauses after a failure, for example because its row can't be read or the database refuses to end it. */
const PAUSE_MS = 10_000
/** How many looks of another node the leader waits for. */
const LEFT_LOOKS = 3

/**
 * Runs on the leader. Ends batches whose runs have ended, and continues interrupted cancellations.
 *
 * If the leader's code does not know the `onDone` job of a batch, it leaves the end to another node, which knows the priority and limits
 * of that run. The leader ends the batch itself if no live node knows the job, or if none has done it after a while.
 */
export class BatchDriver extends LoopService {
  readonly #parts: DriverParts<Store>
  /** Batches that pause after a failure. Each has the end of its pause on the monotonic clock. */
  readonly #resting = new Map<number, number>()
  /** When the leader no longer leaves a batch to another node, on the monotonic clock. */
  readonly #leftUntil = new Map<number, number>()
  /** The last batch of the previous turn. The next turn continues after it. */
  #after = 0

  constructor(parts: DriverParts<Store>) {
    super('batches', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    const { store, pollIntervalMs, clock } = this.#parts
    const { isLeader } = this.#parts.leader
    const unfinished = await store.batches.unfinished(this.#after)
    let isMore = unfinished.length === MAX_OPEN
    this.#after = isMore ? (unfinished.at(-1)?.id ?? 0) : 0
    const unled = await this.#unled(unfinished)
    for (const { id, jobId, state, onDone } of unfinished) {
      const isUnled = onDone !== undefined && unled.has(onDone)
      if (!isLeader && !isUnled) continue
      if ((this.#resting.get(id) ?? -Infinity) > clock.monotonic()) continue
      this.#resting.delete(id)
      try {
        if (isLeader && state === 'cancelling')
          await cancelRuns(store, id, ({ refusal }) => this.#tell(id, jobId, refusal))
        isMore = (await this.#settle(id, jobId, isLeader && isUnled)) || isMore
      } catch (thrown) {
        this.#failed(id, jobId, thrown)
      }
    }
    const restMs = Math.max(pollIntervalMs, MIN_REST_MS)
    return isMore ? BREATH_MS : isLeader ? restMs : restMs * UNLED_LOOKS
  }

  /**
   * Returns those `onDone` jobs that the leader does not know and another node does. On the leader these are jobs of other nodes, on other
   * nodes their own.
   */
  async #unled(batches: readonly UnfinishedBatch[]): Promise<ReadonlySet<string>> {
    const { store, registry, unled, leader } = this.#parts
    const isAsked = (jobId: string): boolean => (registry.find(jobId) === undefined) === leader.isLeader
    const jobIds = new Set(batches.flatMap(({ onDone }) => (onDone !== undefined && isAsked(onDone) ? onDone : [])))
    const found = new Set(await unled.among([...jobIds]))
    if (!leader.isLeader) return found
    for (const jobId of found) {
      const nodes = await store.nodes.having(jobId)
      if (![...nodes.values()].includes(true)) found.delete(jobId)
    }
    return found
  }

  /** @param isLeft whether another node should end the batch; if it has not done so after a while, this node does */
  async #settle(id: number, jobId: string, isLeft: boolean): Promise<boolean> {
    const { store, registry, prepare, events, onQueued, clock, pollIntervalMs } = this.#parts
    const leave = isLeft && (this.#leftUntil.get(id) ?? Infinity) > clock.monotonic()
    const step = await store.batches.settle(id, leave ? () => 'left' : doneRunBy(registry, prepare))
    const { ended, doneRunId, isMore } = step
    if (step.isLeft && !this.#leftUntil.has(id)) {
      const looksMs = Math.max(pollIntervalMs, MIN_REST_MS) * UNLED_LOOKS
      this.#leftUntil.set(id, clock.monotonic() + LEFT_LOOKS * looksMs)
    }
    if (ended) this.#leftUntil.delete(id)
    if (ended) events.emit('batch.changed', { batchId: id, jobId, state: ended, doneRunId })
    if (doneRunId !== undefined) onQueued(1)
    return isMore
  }

  /** Pauses a failing batch, because it must not delay the others. */
  #failed(id: number, jobId: string, thrown: unknown): void {
    const { store, clock } = this.#parts
    if (!(thrown instanceof BrokenRow) && databaseFault(thrown) === 'outage') throw thrown
    this.#resting.set(id, clock.monotonic() + PAUSE_MS)
    if (thrown instanceof BrokenRow) store.database.broken.report(thrown)
    else this.#tell(id, jobId, thrown)
  }

  #tell(id: number, jobId: string, thrown: unknown): void {
    this.#resting.set(id, this.#parts.clock.monotonic() + PAUSE_MS)
    const told = isRefusedValue(thrown) ? refusedBatch(id, jobId, thrown) : thrown
    this.#parts.loops.failed({ loop: this.name, thrown: told, retryInMs: PAUSE_MS, failures: 1 })
  }
}

/** Cancels all open runs of a batch that is being cancelled. After an interruption, a later call continues. */
export async function cancelRuns(
  { batches, cancels }: Pick<Store, 'batches' | 'cancels'>,
  id: number,
  onRefused: (run: Refused) => void,
): Promise<void> {
  for await (const ids of batches.openRuns(id)) await cancels.request({ ids }, onRefused)
}
