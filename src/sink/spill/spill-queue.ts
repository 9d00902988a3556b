import type { RowsSource } from '../delivery/dead-row.ts'

/** A batch to be stored on disk. */
export interface SpillBatch extends RowsSource {
  /** The kind of the batch. `clear`: the route got no rows, so its window must be cleared. */
  readonly kind: 'rows' | 'clear'
  readonly rows: readonly unknown[]
}

/** The batches of one sink that are waiting on this host's disk until their target accepts them. */
export interface SpillQueue {
  /** Whether batches are waiting. Then later batches must be appended, so that all keep their order. */
  readonly isActive: boolean
  /** Called when the target is down. The next batches are appended. */
  outage(error: Error): void
  /**
   * Stores a batch. Resolves when it is durable on disk.
   *
   * @throws PikoError `SINK_SPILL_FULL` if there is no space for it in time
   * @throws PikoError `SINK_ROW_INVALID` if a row can't be stored
   * @throws the errors of the file system, and the reason of the signal
   */
  append(batch: SpillBatch, signal: AbortSignal): Promise<void>
}
