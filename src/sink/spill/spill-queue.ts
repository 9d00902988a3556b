import type { RowsSource } from '../delivery/dead-row.ts'

/** A batch to be stored on disk. */
export interface SpillBatch extends RowsSource {
  /** The kind of the batch. `clear`: the route received no rows, so its window must be cleared. */
  readonly kind: 'rows' | 'clear'
  readonly rows: readonly unknown[]
}

/** The batches of one sink that wait on this host's disk for their target. */
export interface SpillQueue {
  /** Whether batches wait. Later batches must then be appended, so that all of them keep their order. */
  readonly isActive: boolean
  /** Reports that the target is down. The next batches are appended. */
  outage(error: Error): void
  /**
   * Stores a batch. Resolves when it is durable on disk.
   *
   * @throws PikoError `SINK_SPILL_FULL` if no room for it becomes free in time
   * @throws PikoError `SINK_ROW_INVALID` if a row can't be stored
   * @throws the errors of the file system, and the reason of the signal
   */
  append(batch: SpillBatch, signal: AbortSignal): Promise<void>
}
