import { toJson } from '../../json/json.ts'
import type { RunKind } from '../../run/run.ts'
import type { Window } from '../../time/window.ts'
import type { Dialect } from '../connection/dialect.ts'
import { NOW } from '../statements/bulk-insert.ts'
import type { NewRow } from './insert-rows.ts'
import type { Unique } from './unique-run.ts'

export interface NewRun {
  readonly jobId: string
  readonly kind: RunKind
  readonly priority: number
  /** When the run is due. Default: now, on the database's clock. */
  readonly runAt?: Date | undefined
  readonly tick?: Date | undefined
  readonly window?: Window | undefined
  readonly config?: unknown
  readonly input?: unknown
  /** The key of the run, used by `enqueueUnique`, `enqueueUniqueMany` and `enqueueIn`. */
  readonly unique?: Unique | undefined
  readonly concurrencyKey?: string | undefined
  readonly rateKey?: string | undefined
  /** The backfill to which the run belongs. */
  readonly backfillId?: number | undefined
  /** The trace context of the caller: a W3C traceparent, and after a space the tracestate. It has at most 600 ASCII characters. */
  readonly trace?: string | undefined
  /** Why the run of a tick is not executed. Its row is stored as `skipped`. */
  readonly skipped?: string | undefined
  /** The node that executes the run immediately. The row is stored with a first claim by this node. */
  readonly claimedBy?: string | undefined
}

/** Returns the row to insert for a new run. */
export function newRow(dialect: Dialect, run: NewRun): NewRow {
  const instant = (date: Date | undefined): Date | string | null => (date ? dialect.instant(date) : null)
  return {
    job_id: run.jobId,
    state: run.skipped !== undefined ? 'skipped' : run.claimedBy !== undefined ? 'running' : 'queued',
    kind: run.kind,
    priority: run.priority,
    run_at: run.runAt ? dialect.instant(run.runAt) : NOW,
    tick: instant(run.tick),
    concurrency_key: run.concurrencyKey ?? null,
    rate_key: run.rateKey ?? null,
    backfill_id: run.backfillId ?? null,
    window_start: instant(run.window?.start),
    window_end: instant(run.window?.end),
    config: toJson(run.config, 'config'),
    input: toJson(run.input, 'input'),
    reason: run.skipped ?? null,
    trace: run.trace ?? null,
    created_at: NOW,
    finished_at: run.skipped === undefined ? null : NOW,
    claim: run.claimedBy === undefined ? undefined : { node_id: run.claimedBy, attempt: 1, claims: 1, started_at: NOW },
  }
}
