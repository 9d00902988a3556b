import { type Locks } from '../engine/attempt/locks.ts'
import { type RunLogs } from '../engine/attempt/run-logs.ts'
import { type ConfigWatcher } from '../engine/node/config-watcher.ts'
import { type JobRegistry } from '../job/registry.ts'
import { type BackfillRow } from '../store/backfills/backfill-row.ts'
import { type Store } from '../store/store.ts'

/** What operations work with, while the app is started. */
export interface Reach {
  readonly store: Store
  readonly registry: JobRegistry
  readonly configs: Pick<ConfigWatcher, 'inForce' | 'refresh'>
  readonly locks: Pick<Locks, 'acquire'>
  readonly runLogs: Pick<RunLogs, 'list'>
  readonly pollMs: number
  readonly changed: Changed
}

/** Tells the services of this node what an operation has changed, so that they act before their next poll. */
export interface Changed {
  /** Runs of this node may be among them. */
  runsCancelled(): void
  runsQueued(count: number): void
  runsDeleted(count: number): void
  backfill(backfill: BackfillRow): void
}
