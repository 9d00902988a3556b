import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Locks } from '../engine/attempt/locks.ts'
import type { FleetServices } from '../engine/fleet/fleet-services.ts'
import type { FleetWatch } from '../engine/fleet/fleet-watch.ts'
import type { LiveFeed } from '../engine/live/live-feed.ts'
import type { Caches } from '../engine/node/caches.ts'
import type { Outlets } from '../engine/notices/outlets.ts'
import type { SharedValues } from '../engine/node/shared-values.ts'
import type { RunLogs } from '../engine/attempt/run-logs.ts'
import type { RunProgress } from '../engine/attempt/run-progress.ts'
import type { ConfigWatcher } from '../engine/node/config-watcher.ts'
import type { PrepareRun } from '../engine/prepare-run.ts'
import type { JobRegistry } from '../job/registry.ts'
import type { ResourcePool, ResourceStats } from '../resource/resource-pool.ts'
import type { FleetLimit } from '../run/fleet-limit.ts'
import type { Claim } from '../run/run.ts'
import type { Settings } from '../settings/settings.ts'
import type { BatchRow } from '../store/batches/batch-row.ts'
import type { BackfillRow } from '../store/backfills/backfill-row.ts'
import type { SinkClass } from '../sink/sink.ts'
import type { SpillFiles } from '../sink/spill/spill-files.ts'
import type { DeadRow } from '../store/sinks/dead-row-store.ts'
import type { Store } from '../store/store.ts'

/** What operations may use while the app is running. */
export interface Reach {
  readonly store: Store
  readonly registry: JobRegistry
  readonly configs: Pick<ConfigWatcher, 'inForce' | 'refresh' | 'saved'>
  readonly prepare: PrepareRun
  readonly locks: Pick<Locks, 'acquire'>
  readonly shared: Pick<SharedValues, 'handle' | 'stopped'>
  readonly caches: Pick<Caches, 'get' | 'forRun' | 'opened'>
  readonly feed: Pick<LiveFeed, 'open' | 'page' | 'listen'>
  readonly runLogs: Pick<RunLogs, 'list'>
  readonly progress: Pick<RunProgress, 'stored'>
  readonly watch: Pick<FleetWatch, 'open'>
  /** The services of other nodes. */
  readonly fleet: Pick<FleetServices, 'nodeId' | 'tree' | 'restart'>
  readonly sinks: SinkReach
  /** The resources of this process. */
  readonly resources: { readonly nodeId: () => string; readonly stats: () => readonly ResourceStats[] }
  readonly trial: TrialReach
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
  readonly outlets: Pick<Outlets, 'notifiers'>
  readonly notifyTimeoutMs: Settings['notify']['timeoutMs']
  readonly changed: Changed
}

/** What the trial of a page needs from this process. */
export interface TrialReach {
  readonly borrow: ResourcePool['borrow']
  readonly limit: (signal: AbortSignal) => FleetLimit
  readonly runLog: (claim: Claim) => Logger
  readonly clock: Clock
}

/** The sinks of this process, and the spill folder of this host. */
export interface SinkReach {
  /** Lists the files of sinks in the spill folder of this host. @param names the names of sinks that exist */
  files(names: readonly string[]): Promise<ReadonlyMap<string, SpillFiles>>
  /** Delivers a dead row through its sink. @returns false if its route no longer exists @throws the error of the sink */
  redeliver(sinkClass: SinkClass, row: DeadRow, signal: AbortSignal): Promise<boolean>
  /** Whether an error means that the target is down. */
  isOutage(sinkClass: SinkClass, error: Error): boolean
}

/** Tells the services of this node about a change by an operation, so that they act before their next poll. */
export interface Changed {
  /** Called when a cancellation was requested for runs that may be on this node. */
  runsCancelled(): void
  runsQueued(count: number): void
  runsDeleted(count: number): void
  backfill(backfill: BackfillRow): void
  batch(batch: BatchRow): void
}
