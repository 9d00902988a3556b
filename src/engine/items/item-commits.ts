import { PikoError } from '../../errors.ts'
import { isTroubled } from '../../item/breaker.ts'
import type { Claim } from '../../run/run.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { CommitRules } from '../../store/runs/commit-run.ts'
import { ItemLost, type ItemStore } from '../../store/items/item-store.ts'
import type { EndedItem } from '../../store/items/end-items.ts'
import type { LaneChange } from '../../store/items/settle-lanes.ts'
import type { NewItem } from '../../store/items/new-item.ts'
import { withLanes } from './adding.ts'
import type { ItemAttempt } from './item-attempt.ts'
import type { LaneIds } from './lane-ids.ts'
import type { LaneWaker } from './lane-waker.ts'

export interface ItemCommitsParts {
  readonly store: Pick<ItemStore, 'commit' | 'checkpoint'>
  readonly lanes: LaneIds
  readonly waker: LaneWaker
  readonly monotonic: () => number
  /** Called when circuit breakers have opened or closed. */
  readonly onChanges: (changes: readonly LaneChange[]) => void
}

/** The transactions in which an item's function writes to Piko's own database. */
export class ItemCommits {
  readonly #parts: ItemCommitsParts
  readonly #attempts = new Map<Claim, ItemAttempt>()

  constructor(parts: ItemCommitsParts) {
    this.#parts = parts
  }

  /** Allows an attempt to commit, until {@link forget} is called. */
  begin(attempt: ItemAttempt): void {
    this.#attempts.set(attempt.claim, attempt)
  }

  forget(attempt: ItemAttempt): void {
    this.#attempts.delete(attempt.claim)
  }

  /**
   * Ends the item in one transaction with the writes of `fn`.
   *
   * @throws PikoError `LEASE_LOST`, and any error of `fn`
   */
  async commit<T>(nodeId: string, claim: Claim, fn: (trx: SqlExecutor) => Promise<T>, rules: CommitRules): Promise<T> {
    const attempt = this.#attempts.get(claim)
    if (!attempt) throw lost(claim)
    let value: T | undefined
    // The lanes are read before the transaction. A separate query during it could wait forever for the connection that the transaction
    // uses.
    const lanes = await this.#parts.lanes.of(attempt.added.items.map(({ lane }) => lane))
    const { laneIds, changes } = await this.#fenced(attempt, () =>
      this.#parts.store.commit(
        nodeId,
        async (trx, ensure) => {
          value = await fn(trx)
          rules.isWanted()
          const added = await withLanes(attempt.added.items, (all) => this.#parts.lanes.within(all, lanes, ensure))
          return this.#ended(attempt, added)
        },
        rules.signal,
      ),
    )
    attempt.isCommitted = true
    this.#parts.waker.wake(laneIds)
    if (changes.length > 0) this.#parts.onChanges(changes)
    return value as T
  }

  /** Stores a position and the items added since the last checkpoint, in one transaction with the writes of `fn`. */
  async checkpoint(
    attempt: ItemAttempt,
    position: string,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { items: pending, left } = attempt.added
    const added = await withLanes(pending, (lanes) => this.#parts.lanes.of(lanes))
    await this.#fenced(attempt, () =>
      this.#parts.store.checkpoint(
        attempt.nodeId,
        { held: attempt.held, position, added, left: new Map(left) },
        fn,
        signal,
      ),
    )
    attempt.addedStored(pending.length)
    attempt.position = position
    this.#parts.waker.wake(added.map(({ laneId }) => laneId))
  }

  async #fenced<T>(attempt: ItemAttempt, write: () => Promise<T>): Promise<T> {
    try {
      return await write()
    } catch (error) {
      throw error instanceof ItemLost ? lost(attempt.claim) : error
    }
  }

  #ended(attempt: ItemAttempt, added: readonly NewItem[]): EndedItem {
    const { lane } = attempt.item
    const hasToForget = isTroubled(lane.breaker) || lane.factor < 1
    return {
      held: attempt.held,
      end: { to: 'done' },
      added,
      left: attempt.added.left,
      ms: this.#parts.monotonic() - attempt.startedAt,
      bytes: attempt.bytes,
      lane: hasToForget ? { laneId: lane.id, outcome: 'success', waitMs: undefined } : undefined,
      states: attempt.stateEnds(),
      kept: undefined,
      hadKept: attempt.item.kept !== undefined,
    }
  }
}

function lost({ runId, jobId, fence }: Claim): PikoError {
  return new PikoError(
    'LEASE_LOST',
    `an item of run ${runId} of job "${jobId}" now belongs to another node: this transaction stored nothing`,
    { details: { runId, jobId, fence } },
  )
}
