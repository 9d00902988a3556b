import { checkedCall } from '../call-options.ts'
import { RUN_LOG_LEVELS } from '../run/run-log.ts'
import { BACKFILL_STATES } from '../ledger/backfill.ts'
import { LIVE_KINDS } from '../live/live-event.ts'
import type { LiveRequest } from './live/live-options.ts'
import { ITEM_STATES } from '../item/item.ts'
import type { LaneFilter } from '../store/items/list-items.ts'
import type { ItemFilter } from '../store/items/page-of-items.ts'
import type { HostFilter, PageFilter, PageReplay, TryOptions } from './crawls/crawl-options.ts'
import type { ItemReplay, LanePause } from './items/item-options.ts'
import { BATCH_STATES } from '../run/batch.ts'
import { ENDED_STATES, RUN_KINDS, RUN_STATES } from '../run/run.ts'
import {
  aFunction,
  anAbortSignal,
  anything,
  aText,
  expecting,
  flag,
  listOf,
  oneOf,
  type OptionChecks,
  wholeNumber,
} from '../options.ts'
import { Service } from '../service/service.ts'
import type { BackfillFilter } from '../store/backfills/backfill-store.ts'
import type { CoverageFilter } from '../store/windows/ledger-spans.ts'
import type { FollowOptions } from './runs/follow-run.ts'
import type { RunLogFilter } from '../store/history/run-log-store.ts'
import type { RunFilter } from '../store/runs/run-filter.ts'
import type { TimelineFilter } from '../store/runs/timeline-runs.ts'
import type { WindowState } from '../store/tables.ts'
import type { ProofRange } from './proof/certificate.ts'
import type { JobFilter } from '../store/jobs/job-store.ts'
import type { SummaryOptions, WindowFilter } from '../store/windows/window-store.ts'
import type {
  BackfillWait,
  CancelOptions,
  ConfigWatch,
  DeadFilter,
  LimitFilter,
  LockFilter,
  OverviewFilter,
  PreviewOptions,
  PruneOptions,
  ReplayOptions,
  ScheduleFilter,
  ServiceChoice,
  ServiceFilter,
  WindowMark,
  WindowRerun,
} from './operation-options.ts'
import type { DeadRowFilter } from '../store/sinks/dead-row-store.ts'
import type { EnqueueItem, EnqueueOptions, RunOptions } from './runs/run-request.ts'
import type { BatchFilter } from '../store/batches/batch-store.ts'
import type { BatchOptions, BatchReplay, BatchWait } from './batches/batch-request.ts'
import { GRID_UNITS, type GridFilter } from './views/window-grid.ts'
import type { ConfigDiffOptions, ConfigHistory } from './views/config-diff.ts'
import type { BackfillRequest } from './backfills/backfill-request.ts'

const limit = wholeNumber(0)
const WINDOW_STATES: Readonly<Record<WindowState, true>> = {
  pending: true,
  succeeded: true,
  failed: true,
  cancelled: true,
  skipped: true,
  waiting: true,
  stale: true,
}

const pages = { step: aText, host: aText, limit, after: wholeNumber(0) } satisfies OptionChecks<
  Omit<PageFilter, 'state'>
>

const jobs: OptionChecks<JobFilter> = {
  state: oneOf('active', 'paused'),
  search: aText,
  hasWindows: flag,
  ids: listOf('the ids of jobs', aText),
  isOverridden: flag,
  after: aText,
  limit: wholeNumber(1),
}

const item: OptionChecks<EnqueueItem> = {
  config: anything,
  input: anything,
  runAt: anything,
  priority: anything,
  idempotencyKey: anything,
}

const runs: OptionChecks<RunFilter> = {
  jobId: aText,
  state: oneOf(...RUN_STATES),
  kind: oneOf(...RUN_KINDS),
  from: anything,
  to: anything,
  error: aText,
  before: wholeNumber(0),
  limit,
}

const MAX_LAST_RUNS = 100
const MAX_DEAD_IDS = 1_000
const deadRows: OptionChecks<DeadRowFilter> = {
  sink: aText,
  jobId: aText,
  runId: wholeNumber(1),
  ids: (value) =>
    Array.isArray(value) && value.length > MAX_DEAD_IDS
      ? `has ${value.length} numbers; expected at most ${MAX_DEAD_IDS}`
      : listOf('the numbers of rows', wholeNumber(1))(value),
}

const live = {
  after: wholeNumber(0),
  kinds: listOf('kinds of events', oneOf(...LIVE_KINDS)),
  jobs: listOf('ids of jobs', aText),
} satisfies OptionChecks<LiveRequest>

const backfill: OptionChecks<BackfillRequest> = {
  from: anything,
  to: anything,
  parallel: anything,
  order: anything,
  only: anything,
  config: anything,
  priority: anything,
}

/**
 * The options of all calls of an app. Without this check, a misspelt option would mean no limit, no filter, or all runs, and nobody would
 * notice. Options that other code checks (instants, durations, configs, keys) are `anything` here.
 */
const CALLS = {
  start: { under: expecting('a Service', (value) => value instanceof Service) },
  addService: { first: flag },
  as: { name: aText, reason: aText },
  run: { ...item, window: anything, wait: flag, signal: anAbortSignal } satisfies OptionChecks<RunOptions>,
  enqueue: { ...item, trx: anything } satisfies OptionChecks<EnqueueOptions>,
  enqueueMany: { trx: anything } satisfies OptionChecks<Pick<EnqueueOptions, 'trx'>>,
  'jobs.page': jobs,
  'jobs.overview': {
    ...jobs,
    runs: wholeNumber(0, MAX_LAST_RUNS),
    order: oneOf('id', 'attention'),
  } satisfies OptionChecks<OverviewFilter>,
  'runs.list': runs,
  'runs.page': runs,
  'runs.timeline': { from: anything, to: anything, jobId: aText, limit } satisfies OptionChecks<TimelineFilter>,
  'runs.cancel': {
    ids: anything,
    jobId: aText,
    state: oneOf('queued', 'running'),
    dryRun: flag,
  } satisfies OptionChecks<CancelOptions>,
  'runs.replay': {
    ids: anything,
    jobId: aText,
    state: oneOf('failed', 'cancelled'),
    since: anything,
    until: anything,
    error: aText,
    from: aText,
    dryRun: flag,
  } satisfies OptionChecks<ReplayOptions>,
  'runs.logs': {
    attempt: wholeNumber(0),
    level: oneOf(...RUN_LOG_LEVELS),
    after: wholeNumber(0),
    limit,
  } satisfies OptionChecks<RunLogFilter>,
  'runs.follow': {
    level: oneOf(...RUN_LOG_LEVELS),
    after: wholeNumber(0),
    signal: anAbortSignal,
  } satisfies OptionChecks<FollowOptions>,
  'runs.prune': {
    olderThan: anything,
    states: listOf('states', oneOf(...ENDED_STATES)),
    jobId: aText,
    dryRun: flag,
  } satisfies OptionChecks<PruneOptions>,
  'windows.list': {
    state: oneOf(...Object.keys(WINDOW_STATES)),
    from: anything,
    to: anything,
    limit,
  } satisfies OptionChecks<WindowFilter>,
  'windows.summary': { newest: wholeNumber(1) } satisfies OptionChecks<SummaryOptions>,
  'windows.grid': {
    from: anything,
    to: anything,
    by: oneOf(...GRID_UNITS),
    jobIds: listOf('the ids of jobs', aText),
    limit: wholeNumber(1),
    after: aText,
  } satisfies OptionChecks<GridFilter>,
  'windows.rerun': {
    from: anything,
    to: anything,
    only: oneOf('failed', 'all'),
  } satisfies OptionChecks<WindowRerun>,
  'windows.stale': { from: anything, to: anything } satisfies OptionChecks<WindowMark>,
  'windows.prove': { from: anything, to: anything, signal: anAbortSignal } satisfies OptionChecks<ProofRange>,
  'windows.coverage': { from: anything, to: anything, limit } satisfies OptionChecks<CoverageFilter>,
  'backfills.create': backfill,
  'backfills.preview': backfill,
  'backfills.list': {
    jobId: aText,
    state: oneOf(...BACKFILL_STATES),
    before: wholeNumber(0),
    limit,
  } satisfies OptionChecks<BackfillFilter>,
  'backfills.wait': { signal: anAbortSignal, onProgress: aFunction } satisfies OptionChecks<BackfillWait>,
  'batches.create': { key: anything, onDone: anything, priority: anything } satisfies OptionChecks<BatchOptions>,
  'items.list': {
    state: oneOf(...ITEM_STATES),
    kind: aText,
    lane: aText,
    limit,
    after: wholeNumber(0),
  } satisfies OptionChecks<ItemFilter>,
  'items.replay': {
    state: oneOf('dead', 'skipped', 'cancelled'),
    kind: aText,
    lane: aText,
    ids: listOf('the numbers of items', wholeNumber(1)),
  } satisfies OptionChecks<ItemReplay>,
  'items.lanes': {
    scope: aText,
    runId: wholeNumber(1),
    limit,
    after: wholeNumber(0),
  } satisfies OptionChecks<LaneFilter>,
  'crawls.items': { state: oneOf(...ITEM_STATES), ...pages } satisfies OptionChecks<PageFilter>,
  'crawls.dead': pages,
  'crawls.replay': {
    state: oneOf('dead', 'skipped', 'cancelled'),
    step: aText,
    host: aText,
    ids: listOf('the numbers of pages', wholeNumber(1)),
  } satisfies OptionChecks<PageReplay>,
  'crawls.lanes': { runId: wholeNumber(1), limit, after: wholeNumber(0) } satisfies OptionChecks<HostFilter>,
  'crawls.try': { config: anything, window: anything, signal: anAbortSignal } satisfies OptionChecks<TryOptions>,
  'items.pause': { scope: aText } satisfies OptionChecks<LanePause>,
  'items.resume': { scope: aText } satisfies OptionChecks<LanePause>,
  'batches.list': {
    jobId: aText,
    state: oneOf(...BATCH_STATES),
    before: wholeNumber(0),
    limit,
  } satisfies OptionChecks<BatchFilter>,
  'batches.wait': { signal: anAbortSignal, onProgress: aFunction } satisfies OptionChecks<BatchWait>,
  'batches.replay': { state: oneOf('failed', 'cancelled'), dryRun: flag } satisfies OptionChecks<BatchReplay>,
  'sinks.dead': { ...deadRows, limit, after: wholeNumber(0) } satisfies OptionChecks<DeadFilter>,
  'sinks.replay': deadRows,
  'sinks.drop': deadRows,
  'configs.set': { effectiveFrom: anything },
  'configs.history': { before: wholeNumber(0) } satisfies OptionChecks<ConfigHistory>,
  'configs.watch': { signal: anAbortSignal } satisfies OptionChecks<ConfigWatch>,
  'configs.diff': { from: wholeNumber(0), to: wholeNumber(1) } satisfies OptionChecks<ConfigDiffOptions>,
  'nodes.settings': { on: aText },
  'nodes.set': { effectiveFrom: anything, on: aText },
  'services.tree': { on: aText } satisfies OptionChecks<ServiceChoice>,
  'services.list': { on: aText, service: aText } satisfies OptionChecks<ServiceFilter>,
  'services.restart': { on: aText } satisfies OptionChecks<ServiceChoice>,
  'schedules.list': {
    jobIds: listOf('the ids of jobs', aText),
    isOverridden: flag,
    after: aText,
    limit: wholeNumber(1),
  } satisfies OptionChecks<ScheduleFilter>,
  'schedules.preview': {
    from: anything,
    count: wholeNumber(1),
    schedule: anything,
  } satisfies OptionChecks<PreviewOptions>,
  'live.page': live,
  'live.follow': { ...live, signal: anAbortSignal },
  'limits.list': { limit, after: aText } satisfies OptionChecks<LimitFilter>,
  'locks.list': { limit, after: aText } satisfies OptionChecks<LockFilter>,
}

/**
 * Checks the options of a call. Reads each option once.
 *
 * @throws PikoError `USAGE` naming every problem
 */
export function optionsOf<T extends object>(call: keyof typeof CALLS, given: T): T {
  return checkedCall(`app.${call}`, CALLS[call], given)
}

const REQUESTS = {
  enqueue: CALLS.enqueue,
  enqueueMany: item,
  'batches.create': { config: anything, input: anything, runAt: anything, priority: anything },
}
const NAMES = {
  enqueue: new Set(Object.keys(REQUESTS.enqueue)),
  enqueueMany: new Set(Object.keys(item)),
  'batches.create': new Set(Object.keys(REQUESTS['batches.create'])),
} satisfies Record<keyof typeof REQUESTS, ReadonlySet<string>>

/**
 * Reads the options of `app.enqueue`, or of an item of the other calls, each once. Checks only their names, because there may be a million
 * items.
 *
 * @throws PikoError `USAGE` naming every problem
 */
export function requestOf(call: keyof typeof REQUESTS, given: EnqueueOptions): EnqueueOptions {
  return plainRequest(NAMES[call], given) ?? checkedCall(`app.${call}`, REQUESTS[call], given)
}

/** Returns the options as a plain object; undefined if they can't be read or have a problem. */
function plainRequest(names: ReadonlySet<string>, given: EnqueueOptions): EnqueueOptions | undefined {
  try {
    if (typeof given !== 'object' || Array.isArray(given)) return undefined
    for (const name of Object.keys(given)) if (!names.has(name)) return undefined
    const { config, input, runAt, priority, idempotencyKey, trx } = given
    return { config, input, runAt, priority, idempotencyKey, trx } as EnqueueOptions
  } catch {
    return undefined
  }
}
