import { databaseFault, isRefusedValue } from '../../sql/database-faults.ts'
import { MAX_OPEN } from '../../store/batches/batch-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import type { Store } from '../../store/store.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { LoopService } from '../loop/loop-service.ts'
import { refusedBatch } from '../refused-runs.ts'
import { doneRunBy } from './batch-end.ts'
import type { DriverParts } from './driver-parts.ts'

/** How long to wait between two turns if there is more to do. */
const BREATH_MS = 10
/** The minimum wait if there is nothing to do. */
const MIN_REST_MS = 500
/** How long a batch pauses after a failure, for example because its row can't be read or the database refuses to end it. */
const PAUSE_MS = 10_000

/** Runs on the leader. Ends batches whose runs have ended, and continues interrupted cancellations. */
export class BatchDriver extends LoopService {
  readonly #parts: DriverParts<Store>
  /** Batches that pause after a failure. Each has the end of its pause on the monotonic clock. */
  readonly #resting = new Map<number, number>()
  /** The last batch of the previous turn. The next turn continues after it. */
  #after = 0

  constructor(parts: DriverParts<Store>) {
    super('batches', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    if (!this.#parts.leader.isLeader) return Infinity
    const open = await this.#parts.store.batches.unfinished(this.#after)
    let isMore = open.length === MAX_OPEN
    this.#after = isMore ? (open.at(-1)?.id ?? 0) : 0
    for (const { id, jobId, state } of open) {
      if ((this.#resting.get(id) ?? -Infinity) > this.#parts.clock.monotonic()) continue
      this.#resting.delete(id)
      try {
        if (state === 'cancelling')
          await cancelRuns(this.#parts.store, id, ({ refusal }) => this.#tell(id, jobId, refusal))
        isMore = (await this.#settle(id, jobId)) || isMore
      } catch (thrown) {
        this.#failed(id, jobId, thrown)
      }
    }
    return isMore ? BREATH_MS : Math.max(this.#parts.pollIntervalMs, MIN_REST_MS)
  }

  async #settle(id: number, jobId: string): Promise<boolean> {
    const { store, registry, prepare, events, onQueued } = this.#parts
    const { ended, doneRunId, isMore } = await store.batches.settle(id, doneRunBy(registry, prepare))
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
