import { databaseFault, isRefusedValue } from '../../sql/database-faults.ts'
import { MAX_OPEN, type UnfinishedBatch } from '../../store/batches/batch-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import type { Store } from '../../store/store.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { LoopService } from '../loop/loop-service.ts'
import type { BatchStep } from '../../store/batches/settle-batch.ts'
import { refusedBatch } from '../refused-runs.ts'
import { doneRunBy } from './batch-end.ts'
import { type DriverParts, UNLED_LOOKS } from './driver-parts.ts'

/** How long to wait between two turns if there is more to do. */
const BREATH_MS = 10
/** The minimum wait if there is nothing to do. */
const MIN_REST_MS = 500
/** How long a batch pauses after a failure, for example because its row can't be read or the database refuses to end it. */
const PAUSE_MS = 10_000
/** How many times another node can look before the leader ends a batch itself. */
const LEFT_LOOKS = 3

/**
 * Ends batches whose runs have ended. The leader does this, and continues interrupted cancellations.
 *
 * If the leader's code lacks the `onDone` job of a batch, another node ends the batch, because it knows the priority and limits of that
 * run. The leader ends it only if no live node has the job, or if none has ended the batch after a while.
 */
export class BatchDriver extends LoopService {
  readonly #parts: DriverParts<Store>
  /** Batches that pause after a failure. Each has the end of its pause on the monotonic clock. */
  readonly #resting = new Map<number, number>()
  /** When the leader stops leaving a batch to another node, on the monotonic clock. */
  readonly #leftUntil = new Map<number, number>()
  /** The last batch of the previous turn. The next turn continues after it. */
  #after = 0

  constructor(parts: DriverParts<Store>) {
    super('batches', parts)
    this.#parts = parts
    parts.leader.onLead(() => {
      this.#leftUntil.clear()
      this.wake()
    })
  }

  protected override async step(): Promise<number> {
    const { store, clock, registry, leader } = this.#parts
    // The node may lose or gain the lead during the step. Then the step ends.
    const { isLeader } = leader
    const unfinished = await store.batches.unfinished(this.#after)
    let isMore = unfinished.length === MAX_OPEN
    this.#after = isMore ? (unfinished.at(-1)?.id ?? 0) : 0
    const own = isLeader ? unfinished : await this.#unled(unfinished)
    this.#forget()
    for (const { id, jobId, state, onDone } of own) {
      if (leader.isLeader !== isLeader) break
      if ((this.#resting.get(id) ?? -Infinity) > clock.monotonic()) continue
      this.#resting.delete(id)
      try {
        if (isLeader && state === 'cancelling')
          await cancelRuns(store, id, ({ refusal }) => this.#tell(id, jobId, refusal))
        const isLacking = onDone !== undefined && registry.find(onDone) === undefined
        isMore = (isLacking ? await this.#leave(id, jobId, onDone) : await this.#settle(id, jobId)) || isMore
      } catch (thrown) {
        this.#failed(id, jobId, thrown)
      }
    }
    return isMore ? BREATH_MS : isLeader ? this.#restMs : this.#lookMs
  }

  get #restMs(): number {
    return Math.max(this.#parts.pollIntervalMs, MIN_REST_MS)
  }

  /** How often a node that does not lead looks for batches. */
  get #lookMs(): number {
    return this.#restMs * UNLED_LOOKS
  }

  /** Returns the batches whose `onDone` job this node has and the leader lacks. */
  async #unled(batches: readonly UnfinishedBatch[]): Promise<readonly UnfinishedBatch[]> {
    const { registry, unled } = this.#parts
    const known = new Set(batches.flatMap(({ onDone }) => (onDone && registry.find(onDone) ? onDone : [])))
    const unledIds = new Set(await unled.among([...known]))
    return batches.filter(({ onDone }) => onDone !== undefined && unledIds.has(onDone))
  }

  async #settle(id: number, jobId: string): Promise<boolean> {
    const { store, registry, prepare } = this.#parts
    const step = await store.batches.settle(id, doneRunBy(registry, prepare))
    this.#settled(id, jobId, step)
    return step.isMore
  }

  /** Leaves a batch that is ready to end to another node that has its `onDone` job, at most for a while. */
  async #leave(id: number, jobId: string, onDone: string): Promise<boolean> {
    const { store, clock } = this.#parts
    const until = this.#leftUntil.get(id)
    if (until !== undefined && until <= clock.monotonic()) return this.#settle(id, jobId)
    const step = await store.batches.settle(id, () => 'left')
    this.#settled(id, jobId, step)
    // After a replay, the batch waits again.
    if (!step.isLeft) this.#leftUntil.delete(id)
    else if (until === undefined) {
      const nodes = await store.nodes.having(onDone)
      if (![...nodes.values()].includes(true)) return this.#settle(id, jobId)
      this.#leftUntil.set(id, clock.monotonic() + LEFT_LOOKS * this.#lookMs)
    }
    return step.isMore
  }

  #settled(batchId: number, jobId: string, { ended, doneRunId, isDoneStored }: BatchStep): void {
    const { events, onQueued } = this.#parts
    if (ended) events.emit('batch.changed', { batchId, jobId, state: ended, doneRunId })
    if (isDoneStored) onQueued(1)
  }

  /** Forgets batches that other nodes have ended. */
  #forget(): void {
    const now = this.#parts.clock.monotonic()
    for (const [id, until] of this.#leftUntil) if (until + this.#lookMs < now) this.#leftUntil.delete(id)
    for (const [id, until] of this.#resting) if (until + PAUSE_MS < now) this.#resting.delete(id)
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
