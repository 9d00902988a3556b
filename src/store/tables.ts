// Long because it lists every table with its columns.
import type { ColumnType, Generated } from 'kysely'
import type { EventTables } from './events/event-rows.ts'
import type { AccessTables } from './access/access-tables.ts'
import type { ItemTables } from './items/item-tables.ts'
import type { NoticeTables } from './notices/notice-tables.ts'
import type { ProofTables } from './proof/proof-rows.ts'
import type { AttemptOutcome } from '../run/attempt.ts'
import type { BackfillOnly, BackfillOrder, BackfillState } from '../ledger/backfill.ts'
import type { WindowState } from '../ledger/window-state.ts'
import type { BatchState } from '../run/batch.ts'
import type { RunKind, RunState } from '../run/run.ts'
import type { RunLogLevel } from '../run/run-log.ts'
import type { OnUpstreamChange } from '../job/upstream.ts'

/**
 * A stored instant. It is read and written through `Dialect.date` and `Dialect.instant`, or set to an SQL expression of the database's
 * clock.
 */
type Instant = ColumnType<Date | string, Date | string, Date | string>
type NullableInstant = ColumnType<Date | string | null, Date | string | null | undefined, Date | string | null>

/** JSON as text. MariaDB has no binary JSON type, and no query of the store reads only a part of it. */
type JsonText = string | null

export { WINDOW_STATES, type WindowState } from '../ledger/window-state.ts'

export interface JobTable {
  id: string
  description: string | null
  /** The current schedule: `ScheduleSpec` as JSON, or a cron expression that a person typed. Null if the job runs only on request. */
  schedule: JsonText
  /** The last schedule from code. It differs from `schedule` if a person has overridden the schedule. */
  code_schedule: JsonText
  /**
   * The schedule from which `next_tick` was computed. It differs from `schedule` until the planner has applied a change of the schedule.
   */
  planned_schedule: JsonText
  /** `WindowPolicy` as JSON; null if the job has no windows. */
  windows: JsonText
  is_paused: Generated<number>
  /** The next tick to plan. */
  next_tick: NullableInstant
  /** When the planner next plans the job; null: never. */
  plan_at: NullableInstant
  /** The start of the first planned window. The watermark is the end of the unbroken sequence of succeeded windows from here on. */
  ledger_start: NullableInstant
  /** The end of the last planned window. Planning continues there. */
  window_cursor: NullableInstant
  /**
   * A window must succeed within this time after its end, or the run of a tick after the tick, in milliseconds. Null: there is no deadline.
   */
  deadline_ms: Generated<number | null>
  /** The kinds of notices for which the job's code has hooks, such as `failure,late`. */
  hooks: Generated<string | null>
  created_at: Instant
  updated_at: Instant
}

/** A schedule that bounds a job's windows from `start_at` on; see `generations.ts`. */
export interface GenerationTable {
  job_id: string
  start_at: Instant
  schedule: string
  created_at: Instant
}

export interface JobConfigTable {
  id: Generated<number>
  job_id: string
  version: number
  /** The config as JSON. */
  config: string
  effective_from: Instant
  created_at: Instant
  /** The SHA-256 of the config text that Piko checked and saved. Empty: unknown. Null: a person has inserted the row. */
  digest: Generated<string | null>
}

/** What a node reports about the config of one job. It writes this when something changes. */
export interface ConfigAckTable {
  job_id: string
  node_id: string
  /** The config version that the node uses. */
  version: number | null
  /** A newer version that the node does not use, with the reason. */
  refused_version: number | null
  problem: string | null
  /** 1 if the node's code has the job. */
  is_registered: number
  acked_at: Instant
}

export interface RunTable {
  id: Generated<number>
  job_id: string
  state: RunState
  kind: RunKind
  priority: number
  run_at: Instant
  /**
   * The tick of the run. Unique together with job_id, so that a tick fires or is skipped only once. Null for runs that no schedule
   * requested, and for windows that share their tick with a later window.
   */
  tick: NullableInstant
  window_start: NullableInstant
  window_end: NullableInstant
  attempt: Generated<number>
  node_id: string | null
  /** How many times the run was claimed. Its fence is `id · 65536 + claims` (see `fence.ts`). */
  claims: Generated<number>
  config: JsonText
  input: JsonText
  output: JsonText
  error: JsonText
  reason: string | null
  created_at: Instant
  started_at: NullableInstant
  finished_at: NullableInstant
  /** The run's key for `concurrency.key` and `rate.key`. Null: no key limits the run. */
  concurrency_key: string | null
  rate_key: string | null
  /** The backfill to which the run belongs. */
  backfill_id: Generated<number | null>
  /** When the cancellation was requested. The run's node then ends the attempt, and the run is not queued again. */
  cancel_requested_at: NullableInstant
  /** The version of the job's config that the last ended attempt used. */
  config_version: Generated<number | null>
  /** The trace context of the caller that requested the run: a W3C traceparent, followed by a space and the tracestate. */
  trace: Generated<string | null>
  /** When the parts of the last ended attempt ended; see `marksText`. */
  phases: Generated<string | null>
}

export interface AttemptTable {
  run_id: number
  /**
   * The fence of the attempt's claim. Two attempts can have the same number, if the first of them did not count; their fences always
   * differ.
   */
  fence: number
  attempt: number
  node_id: string | null
  started_at: NullableInstant
  finished_at: NullableInstant
  outcome: AttemptOutcome
  error: JsonText
  /** When the parts of the attempt ended; see `marksText`. */
  phases: Generated<string | null>
}

export interface WindowTable {
  id: Generated<number>
  job_id: string
  start_at: Instant
  end_at: Instant
  /** The run of a `pending` window is queued or running. */
  state: WindowState
  /**
   * The run that owns the window. Only that run decides the window's state. Null if the window has no run, for example while it is waiting.
   */
  run_id: number | null
  fence: number | null
  /** The last backfill to which the window belonged. */
  backfill_id: Generated<number | null>
  /**
   * For a waiting window: the upstream job for which it is waiting, and the instant that this job must cover. Null until a node has checked
   * the window.
   */
  wait_job: Generated<string | null>
  wait_at: NullableInstant
  /** The window's state after its current run has succeeded. Set if an upstream window began to run again before that run ended. */
  changed_to: Generated<'waiting' | 'stale' | null>
  updated_at: Instant
}

/** A dependency: a window of the job runs when windows of the upstream job cover it. */
export interface DependencyTable {
  job_id: string
  upstream_id: string
  on_change: OnUpstreamChange
}

export interface BackfillTable {
  id: Generated<number>
  job_id: string
  state: BackfillState
  /** Where the first window of the range starts and the last one ends. */
  from_at: Instant
  to_at: Instant
  /** How far the windows are planned, from the oldest or from the newest one. Null: all are planned. */
  cursor_at: NullableInstant
  window_order: BackfillOrder
  only_windows: BackfillOnly
  parallel: number
  priority: number
  config: JsonText
  /** The number of windows in the range. Of the windows planned so far, `planned` need a run and `passed` need none. */
  total: number
  planned: Generated<number>
  passed: Generated<number>
  /**
   * How long the backfill was `running` or `cancelling` before `active_since`, in milliseconds. `active_since` is null in all other states.
   */
  active_ms: Generated<number>
  active_since: NullableInstant
  created_at: Instant
  finished_at: NullableInstant
}

export interface NodeTable {
  /** The id of the node: a UUID, new at each registration. */
  id: string
  host: string
  pid: number
  started_at: Instant
  heartbeat_at: Instant
  expires_at: Instant
  /** The address at which the node is notified of new work, `host:port`. */
  doorbell: string | null
  /** The URL at which other nodes reach this node; null if it has none. */
  link: Generated<string | null>
  /** The secret of that link. Null: the node uses the secret from the settings, which all nodes share. */
  link_key: Generated<string | null>
  /** A number that increases when runs of this node get cancel requests. */
  cancels: Generated<number>
  resources: Generated<JsonText>
  /** The facts that the node reports about itself; see `NodeFacts`. */
  facts: Generated<JsonText>
  /** The ids that the server gave to the node's connections, such as `12,15`. Null on SQLite, and behind a proxy that hides these ids. */
  connections: Generated<string | null>
  /** The server that gave these ids, `hostname:port`. */
  connections_of: Generated<string | null>
  /** When the ids of the connections were written. */
  connections_at: NullableInstant
  /** The digests of the node's jobs, by id, as JSON. */
  jobs: Generated<JsonText>
}

export interface LockTable {
  name: string
  owner: string | null
  /** A number that increases whenever the lock is acquired, never on renewal. */
  fence: Generated<number>
  expires_at: Instant
}

export interface RunLogTable {
  id: Generated<number>
  run_id: number
  fence: number
  attempt: number
  logged_at: Instant
  level: RunLogLevel
  message: string
  fields: JsonText
}

/** A step of a handler: its result, or when `ctx.until` began to wait if the step is still waiting. */
export interface StepTable {
  run_id: number
  /** The name in the form of `exactKey`. */
  name: string
  /** The fence of the claim that stored the step. Together with the step's position within that claim, it gives the order of all steps. */
  fence: number
  seq: number
  attempt: number
  result: JsonText
  /** How long the step's function took with all its tries, in milliseconds. For `ctx.until`: how long the wait has lasted. */
  ms: number
  /** How many times the step's function was called; for `ctx.until`, in all attempts together. */
  tries: number
  /** When `ctx.until` first called its function. Null if the function was ready on the first call, and for all other steps. */
  waiting_since: NullableInstant
  /** When the step finished. Null while `ctx.until` is waiting, because there is no result yet. */
  finished_at: NullableInstant
}

/** The last progress that a run's handler reported. It has its own table, because writes to the table of runs must stay cheap. */
export interface RunProgressTable {
  run_id: number
  /** The fence of the claim that reported the progress. */
  fence: number
  attempt: number
  done: number
  total: number | null
  message: string | null
  /** The progress per second, in the same unit as `done`. */
  rate: number | null
  updated_at: Instant
}

export interface BatchTable {
  id: Generated<number>
  job_id: string
  /** The key in the form of `exactKey`. */
  batch_key: string | null
  digest: string
  state: BatchState
  /** The number of items, and how many of them already have a stored run. */
  total: number
  stored: Generated<number>
  /** The job that runs when all runs of the batch have ended, and its run. */
  on_done: string | null
  done_run_id: Generated<number | null>
  created_at: Instant
  finished_at: NullableInstant
}

/** Some of a batch's runs: every `id_step`-th id from `first_id` to `last_id`. */
export interface BatchSliceTable {
  first_id: number
  last_id: number
  id_step: number
  batch_id: number
  /** The position in the batch of the first run's item, counted from 0. */
  from_item: number
  size: number
  /**
   * 1 until all runs of the slice have ended. Until then the counts are null, or they count runs that were deleted after an earlier end of
   * the batch.
   */
  is_open: Generated<number>
  succeeded: Generated<number | null>
  failed: Generated<number | null>
  cancelled: Generated<number | null>
}

/** The last run that was stored with an idempotency key. */
export interface IdempotencyTable {
  job_id: string
  idempotency_key: string
  run_id: number | null
  created_at: Instant
}

/**
 * The starts that count for a rate limit: those of a job's attempts, or the takes of a limit that all nodes share. A writer must hold the
 * lock of the job's row, or of this row for a shared limit.
 */
export interface RateTable {
  job_id: string
  /** The key of the runs. Empty if the rate limit applies to the whole job. For a limit that all nodes share, its name. */
  rate_key: string
  /** The starts as JSON of `Starts`. */
  starts: string
  /** After this instant, all of the starts are too old to count. */
  expires_at: Instant
}

/** A row that the target of a sink refused. */
export interface DeadRowTable {
  id: Generated<number>
  /** A digest of the sink, the batch and the position. So when a later attempt writes the same row, it replaces this one. */
  row_key: string
  sink: string
  route: string
  job_id: string
  run_id: number
  attempt: number
  fence: number
  window_start: NullableInstant
  window_end: NullableInstant
  batch_key: string
  /** The position of the row in its batch. */
  place: number
  reason: string
  /** 0 if `content` is only the beginning of the row, because the row is too large, or the reason why it can't be converted. */
  is_whole: number
  content: string
  died_at: Instant
}

/** How many rows of a run a host has stored on its disk, and how many of them their target has received since. */
export interface SpillTable {
  run_id: number
  sink: string
  host: string
  job_id: string
  spilled_rows: number
  sent_rows: number
  spilled_bytes: number
  spilled_at: Instant
  changed_at: Instant
}

/** One version of a value that all nodes share. A version never changes. Old versions are deleted. */
export interface SharedTable {
  topic: string
  version: number
  /** The value as JSON. */
  value: string
  reason: string | null
  /** The node that published the value. */
  node_id: string | null
  created_at: Instant
}

/** An entry of a cache. If it has no value, the key was deleted or a node is loading the value. */
export interface CacheTable {
  space: string
  /** The SHA-256 of the key. */
  print: Buffer
  cache_key: string
  value: Buffer | null
  /** A random number that changes with each write. */
  version: number
  stale_at: Instant
  expires_at: Instant
  /** The process that loads the value, and until when its claim to load it is valid. */
  loader: string | null
  loading_until: NullableInstant
}

export interface Tables extends ProofTables, ItemTables, EventTables, AccessTables, NoticeTables {
  piko_job: JobTable
  piko_generation: GenerationTable
  piko_job_config: JobConfigTable
  piko_config_ack: ConfigAckTable
  piko_run: RunTable
  piko_attempt: AttemptTable
  piko_window: WindowTable
  piko_backfill: BackfillTable
  piko_dependency: DependencyTable
  piko_node: NodeTable
  piko_lock: LockTable
  piko_run_log: RunLogTable
  piko_step: StepTable
  piko_run_progress: RunProgressTable
  piko_batch: BatchTable
  piko_batch_slice: BatchSliceTable
  piko_rate: RateTable
  piko_idempotency: IdempotencyTable
  piko_dead_row: DeadRowTable
  piko_spill: SpillTable
  piko_shared: SharedTable
  piko_cache: CacheTable
}
