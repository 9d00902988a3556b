import type { SinkBatch } from '../sink.ts'
import type { Aside } from './sift.ts'

/** The origin of rows that were refused or stored on disk. */
export interface RowsSource {
  readonly sink: string
  /** The name of the model in batch keys. */
  readonly route: string
  readonly batch: Pick<SinkBatch, 'jobId' | 'runId' | 'attempt' | 'fence' | 'window' | 'key' | 'index'>
}

/** Stores refused rows. Resolves when they are stored. */
export interface DeadLetters {
  add(source: RowsSource, rows: readonly Aside[]): Promise<void>
}
