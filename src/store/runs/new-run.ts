import { type RunKind } from '../../run/run.ts'
import { type Window } from '../../time/window.ts'
import { type Unique } from './unique-run.ts'

/** A run to be stored. */
export interface NewRun {
  readonly jobId: string
  readonly kind: RunKind
  readonly priority: number
  /** Default: now, on the database's clock. */
  readonly runAt?: Date | undefined
  readonly tick?: Date | undefined
  readonly window?: Window | undefined
  readonly config?: unknown
  readonly input?: unknown
  /** Honoured by `enqueueUnique` and `enqueueIn`. */
  readonly unique?: Unique | undefined
  readonly concurrencyKey?: string | undefined
  readonly rateKey?: string | undefined
  /** The backfill that drives it. */
  readonly backfillId?: number | undefined
  /** Set for a tick that does not run: the row is stored as `skipped`. */
  readonly skipped?: string | undefined
  /** The node that executes it at once: the row is stored as claimed by it, for the first time. */
  readonly claimedBy?: string | undefined
}
