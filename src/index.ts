export { ERROR_CODES, type ErrorCode, isPikoError, PikoError } from './errors.ts'

export { type Attempt } from './run/attempt.ts'
export { type BackfillOnly, type BackfillOrder, type BackfillState } from './ledger/backfill.ts'
export type { MapOptions } from './calls/map-items.ts'
export type { RunCalls } from './calls/run-calls.ts'
export {
  type Ready,
  type StepMapOptions,
  type StepOptions,
  type StepScope,
  type Steps,
  type UntilOptions,
} from './job/steps.ts'
export { type StepRecord } from './run/step.ts'
export { type HeldLock, type JobContext, type RunLockOptions } from './job/context.ts'
export { job } from './job/decorator.ts'
export { defineJob, jobSpec } from './job/define-job.ts'
// Exports everything, so a project can extend `RegisteredJobs` with `declare module 'piko'`.
export type * from './job/job-types.ts'
export { type JobModule, type JobSource } from './job/job-source.ts'
export { jobsOf } from './job/jobs-of.ts'
export { JobRegistry } from './job/registry.ts'
export { type RetrySpec } from './run/retry.ts'
export { NoRetryError, RetryLaterError } from './run/retry-errors.ts'
export { type Run, type RunKind, type RunState } from './run/run.ts'
export { type RunError } from './run/run-error.ts'
export { type ContextOf, type JobDefinition, type JobHandler, type JobSpec, type WindowsSpec } from './job/spec.ts'

export { defineResource } from './resource/define-resource.ts'
export {
  type BorrowedOf,
  Resource,
  type ResourceClass,
  type ResourceContext,
  type ResourceMap,
} from './resource/resource.ts'

export { defineSink } from './sink/define-sink.ts'
export { on } from './sink/on.ts'
export {
  type RowInputOf,
  type RowModel,
  type RowOf,
  Sink,
  type SinkBatch,
  type SinkClass,
  type SinkEnv,
  type SinkMap,
  type SinkScope,
  type SinkWriter,
} from './sink/sink.ts'
export { SqlTable, sqlTable, type SqlTableOptions, type SqlTableTarget } from './sink/sql-table.ts'
export { type SqlDatabase, type SqlExecutor, type SqlRow, type SqlValue } from './sql/sql.ts'

export { type Calendar, type CalendarFunction, type LocalTime, type Weekday } from './time/calendar.ts'
export { type DstPolicy } from './time/dst.ts'
export { type Duration } from './time/duration.ts'
export { type InstantInput } from './time/instant.ts'
export { type ScheduleSpec } from './time/schedule.ts'
export { type Window } from './time/window.ts'

export { closeOffload, configureOffload } from './offload/default-pool.ts'
export { move } from './offload/move.ts'
export { offload, type Offloaded } from './offload/offload.ts'
export { type OffloadOptions } from './offload/offload-pool.ts'

export { loadSettings } from './settings/load.ts'
export { type Settings } from './settings/settings.ts'
export { type RunLogLevel, type RunLogLine } from './run/run-log.ts'
export { type RunDetails, type Runs } from './operations/runs.ts'
export {
  type BackfillWait,
  type CancelOptions,
  type LockFilter,
  type PreviewOptions,
  type PruneOptions,
  type ReplayOptions,
} from './operations/operation-options.ts'
export { type Jobs } from './operations/jobs.ts'
export { type Why } from './operations/why.ts'
export { type Schedules } from './operations/schedules.ts'
export { type Windows } from './operations/windows.ts'
export { type HeldNamedLock, type NamedLocks } from './operations/named-locks.ts'
export { type Nodes } from './operations/nodes.ts'
export { type NodeStatus } from './store/nodes/node-store.ts'
export { type JobRow } from './store/jobs/job-row.ts'
export { type Preview, type PreviewTick } from './time/preview.ts'
export { type RunLogFilter } from './store/history/run-log-store.ts'
export { type BackfillFilter } from './store/backfills/backfill-store.ts'
export { type ConfigVersion } from './store/jobs/config-store.ts'
export {
  type EnqueueTransaction,
  type KyselyTransaction,
  type Mysql2Connection,
} from './store/statements/user-transaction.ts'
export { type CancelFilter, type CancelResult } from './store/runs/cancel-store.ts'
export { type ReplayFilter, type ReplayResult } from './store/runs/replay-store.ts'
export { type RunFilter } from './store/runs/list-runs.ts'
export { type CoverageFilter, type LedgerSpan } from './store/windows/ledger-spans.ts'
export { type LedgerSummary, type LedgerWindow, type WindowFilter } from './store/windows/window-store.ts'
export { type EventMap, type EventName, type Events } from './events.ts'

export { Piko } from './app/piko.ts'
export { type Health } from './app/health.ts'
export { type Backfill, type Backfills, type BackfillWindow } from './operations/backfills.ts'
export { type BackfillStatus } from './operations/backfill-status.ts'
export { type Configs } from './operations/configs.ts'
export { RunFailedError } from './operations/run-failed-error.ts'
export { type KeyedConcurrency, type KeyedRate, type Rate } from './run/limits.ts'

export { type Logger } from './logger.ts'
export { type OnUpstreamChange, type Upstream } from './job/upstream.ts'
export { type PikoOptions } from './app/piko-options.ts'
export { type LockOptions } from './engine/attempt/lock-options.ts'
export {
  type EnqueueItem,
  type EnqueueOptions,
  type IdempotencyKey,
  type RunId,
  type RunOptions,
} from './operations/run-request.ts'
export { type BackfillRequest } from './operations/backfill-request.ts'
