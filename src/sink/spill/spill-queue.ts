import type { RowsSource } from '../delivery/dead-row.ts'

/** A batch on its way to the disk. */
export interface SpillBatch extends RowsSource {
  /** `clear`: the window of the route has no rows. */
  readonly kind: 'rows' | 'clear'
  readonly rows: readonly unknown[]
}

/** The batches of one sink that wait on this host's disk for their target. */
export interface SpillQueue {
  /** Whether batches wait: later ones must follow them. */
  readonly isActive: boolean
  /** Reports that the target is down. The next batches are appended. */
  outage(error: Error): void
  /**
   * Resolves when the batch is durable on the disk.
   *
   * @throws PikoError `SINK_SPILL_FULL` if the disk has no room for it in time
   * @throws PikoError `SINK_ROW_INVALID` if a row can't be stored
   * @throws the errors of the file system, and the reason of the signal
   */
  append(batch: SpillBatch, signal: AbortSignal): Promise<void>
}
