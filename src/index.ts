export { ERROR_CODES, type ErrorCode, isPikoError, PikoError } from './errors.ts'

export type { Attempt } from './run/attempt.ts'
export type { BackfillOnly, BackfillOrder, BackfillState } from './ledger/backfill.ts'
export type { MapOptions } from './calls/map-items.ts'
export type { RunCalls } from './calls/run-calls.ts'
export type { FleetLimit, FleetLimiter, FleetLimitOptions, FleetTakeOptions } from './run/fleet-limit.ts'
export type { Ready, StepMapOptions, StepOptions, StepScope, Steps, UntilOptions } from './job/steps.ts'
export type { StepRecord } from './run/step.ts'
export { ItemError, type ItemErrorOptions } from './item/item-error.ts'
export type { Item, ItemPhases, ItemState } from './item/item.ts'
export type { ItemRetrySpec } from './item/budget.ts'
export type { LaneSpec } from './item/lane.ts'
export type * from './job/items/adding.ts'
export type * from './job/items/item-context.ts'
export type {
  AnyItemKinds,
  DeadContext,
  DeadItem,
  ItemKind,
  ItemKinds,
  ItemLimits,
  ItemTolerance,
} from './job/items/item-kind.ts'
export type { HeldLock, JobContext, RunLockOptions } from './job/context.ts'
export { job } from './job/decorator.ts'
export { defineJob, jobSpec } from './job/define-job.ts'
// Exports everything, so that a project can extend `RegisteredJobs` with `declare module 'piko'`.
export type * from './job/job-types.ts'
export type { JobModule, JobSource } from './job/job-source.ts'
export { jobsOf } from './job/jobs-of.ts'
export { JobRegistry } from './job/registry.ts'
export type { RetrySpec } from './run/retry.ts'
export { NoRetryError, RetryLaterError } from './run/retry-errors.ts'
export type {
  Notice,
  NoticeContext,
  NoticeHook,
  NoticeHooks,
  NoticeJob,
  NoticeKind,
  Notifier,
} from './notice/notice.ts'
export { email, type EmailOptions, type EmailTexts } from './notify/email.ts'
export type { NotifierOptions } from './notify/notifier-options.ts'
export { slack, type SlackOptions } from './notify/slack.ts'
export { webhook, type WebhookOptions } from './notify/webhook.ts'
export type { Run, RunKind, RunState } from './run/run.ts'
export type { Progress } from './run/progress.ts'
export type { RunError } from './run/run-error.ts'
export type { ContextOf, JobDefinition, JobHandler, JobSpec, WindowsSpec } from './job/spec.ts'

export {
  defineResource,
  type OpenedDefinition,
  type ResourceDefinition,
  type SharedDefinition,
} from './resource/define-resource.ts'
export {
  type Borrower,
  type BorrowedOf,
  type OpenContext,
  type ProcessContext,
  Resource,
  type ResourceClass,
  type ResourceContext,
  type ResourceMap,
  type ResourceScope,
} from './resource/resource.ts'

export { defineSink } from './sink/define-sink.ts'
export { RefusedRowsError, type RefusedRow } from './sink/delivery/refused-rows.ts'
export { on } from './sink/on.ts'
export {
  type RowInputOf,
  type RowModel,
  type RowOf,
  Sink,
  type SinkBatch,
  type SinkClass,
  type DeadLetterOptions,
  type SinkEnv,
  type SinkGuarantee,
  type SinkRules,
  type SpillOptions,
  type SinkMap,
  type SinkScope,
  type SinkWriter,
} from './sink/sink.ts'
export { SqlTable, sqlTable } from './sink/sql/sql-table.ts'
export type {
  SqlTableDdl,
  SqlTableGeneration,
  SqlTableLayout,
  SqlTableMerge,
  SqlTableOpen,
  SqlTableTarget,
} from './sink/sql/table-calls.ts'
export type { BulkMode, SqlTableOptions } from './sink/sql/table-options.ts'
export type { SqlDatabase, SqlExecutor, SqlFile, SqlLoaded, SqlRow, SqlValue } from './sql/sql.ts'

export type { Calendar, CalendarFunction, LocalTime, Weekday } from './time/calendar.ts'
export type { DstPolicy } from './time/dst.ts'
export type { Duration } from './time/duration.ts'
export type { InstantInput } from './time/instant.ts'
export type { WindowInput } from './time/local-dates.ts'
export type { ScheduleSpec } from './time/schedule.ts'
export type { Window } from './time/window.ts'

export * from './offload/index.ts'

export { loadSettings } from './settings/load.ts'
export type { Settings } from './settings/settings.ts'
export type { FollowOptions, RunNews } from './operations/runs/follow-run.ts'
export type { RunLogLevel, RunLogLine } from './run/run-log.ts'
export type { ListedRun, RunDetails, Runs } from './operations/runs/runs.ts'
export type {
  BackfillWait,
  CancelOptions,
  ConfigWatch,
  LockFilter,
  PreviewOptions,
  PruneOptions,
  ReplayOptions,
} from './operations/operation-options.ts'
export type { Jobs, KnownJobRow } from './operations/jobs.ts'
export type { Why } from './operations/why/why.ts'
export type { WhyChange } from './operations/why/why-change.ts'
export type { WhyRule, WhyStep } from './operations/why/why-steps.ts'
export type { Schedules } from './operations/schedules.ts'
export type { Windows } from './operations/windows.ts'
export type { HeldNamedLock, NamedLocks } from './operations/named-locks.ts'
export type { CheckState, DoctorReport } from './operations/doctor/diagnose.ts'
export type { SettingFact } from './operations/doctor/facts.ts'
export type { Finding, Severity } from './operations/doctor/finding.ts'
export type { ListedNode, Nodes, NodeSettings, NodeSettingsChange } from './operations/nodes.ts'
export type { LiveConfig } from './settings/live.ts'
export type { NodeConfig } from './store/jobs/config-ack-store.ts'
export type { Resources } from './operations/resources.ts'
export type { DeadFilter, DeadRow, DeadRowFilter, ReplayedDead, Sinks, SinkStatus } from './operations/sinks.ts'
export type { SpilledRows } from './store/sinks/spill-store.ts'
export type { NodeStatus, ResourceStatus } from './store/nodes/node-store.ts'
export type { JobRow } from './store/jobs/job-row.ts'
export type { DueWindow, Preview, PreviewTick } from './time/preview.ts'
export type { RunLogFilter } from './store/history/run-log-store.ts'
export type { BatchFilter } from './store/batches/batch-store.ts'
export type { BackfillFilter } from './store/backfills/backfill-store.ts'
export type { ConfigVersion } from './store/jobs/config-store.ts'
export type { EnqueueTransaction, KyselyTransaction, Mysql2Connection } from './store/statements/user-transaction.ts'
export type { CancelFilter, CancelResult } from './store/runs/cancel-store.ts'
export type { ReplayFilter, ReplayResult } from './store/runs/replay-store.ts'
export type { HttpMiddleware, HttpPlugin, HttpRequest, HttpRoute } from './app/http-routes.ts'
export type { RunFilter } from './store/runs/run-filter.ts'
export type { CoverageFilter, LedgerSpan } from './store/windows/ledger-spans.ts'
export type { LedgerSummary, LedgerWindow, WindowFilter } from './store/windows/window-store.ts'
export type { EventMap, EventName, Events } from './events.ts'

export { Piko } from './app/piko.ts'
export type { Health } from './app/health.ts'
export type { Elector, ElectorOptions, LeaderWork } from './engine/node/elector.ts'
export type { CacheCall, CacheFilter, Caches, CacheStatus } from './operations/caches.ts'
export type { CacheFigures } from './store/cache/cache-store.ts'
export type { Shared, SharedCall, SharedFilter, SharedRef } from './operations/shared.ts'
export type { Backfill, Backfills, BackfillWindow } from './operations/backfills/backfills.ts'
export type { BackfillStatus } from './operations/backfills/backfill-status.ts'
export type { Batch, Batches } from './operations/batches/batches.ts'
export type {
  PageFilter,
  PageReplay,
  CrawlRef,
  HostFilter,
  TryOptions,
  TryRequest,
} from './operations/crawls/crawl-options.ts'
export type { Crawls } from './operations/crawls/crawls.ts'
export type {
  CrawlLane,
  CrawlPage,
  CrawlPages,
  CrawlReplayed,
  CrawlStatus,
  StepCounts,
} from './operations/crawls/crawl-status.ts'
export type { TriedPage } from './operations/crawls/tried-page.ts'
export type { TriedRows } from './operations/crawls/tried-rows.ts'
export type { TriedAnswer, TriedFollow, TrialReport } from './job/job-extension.ts'
export type { ItemReplay, LanePause } from './operations/items/item-options.ts'
export type { ItemPage, Items } from './operations/items/items.ts'
export type { ItemCounts } from './item/item-counts.ts'
export type { ItemsStatus } from './operations/items/item-status.ts'
export type { LaneFilter, LaneStatus, StoredItem } from './store/items/list-items.ts'
export type { ItemFilter } from './store/items/page-of-items.ts'
export type { BatchItem, BatchOptions, BatchReplay, BatchWait } from './operations/batches/batch-request.ts'
export type { BatchReport, BatchStatus } from './operations/batches/batch-status.ts'
export type { BatchDone } from './engine/planning/batch-end.ts'
export type { BatchDurations, BatchFailure, BatchState } from './run/batch.ts'
export type { Configs, ConfigStatus, CurrentConfig, SavedConfig } from './operations/configs.ts'
export { RunFailedError } from './operations/runs/run-failed-error.ts'
export type { KeyedConcurrency, KeyedRate, Rate } from './run/limits.ts'

export type { Logger } from './logger.ts'
export type { OnUpstreamChange, Upstream } from './job/upstream.ts'
export { defineConfig, type PikoConfig } from './app/piko-config.ts'
export type { PikoOptions } from './app/piko-options.ts'
export type { LockOptions } from './engine/attempt/lock-options.ts'
export type { EnqueueItem, EnqueueOptions, IdempotencyKey, RunId, RunOptions } from './operations/runs/run-request.ts'
export type { Certificate, ProofFinding, ProofKind, ProofRange, ProvedTable } from './operations/proof/certificate.ts'
export type { BackfillRequest } from './operations/backfills/backfill-request.ts'
