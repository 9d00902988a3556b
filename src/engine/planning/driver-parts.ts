import type { UnledJobs } from './unled-jobs.ts'
import type { LoopServiceParts } from '../loop/loop-service.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Events } from '../../events.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { Leader } from '../node/leader.ts'
import type { PrepareRun } from '../prepare-run.ts'

/** What the drivers of backfills, batches and dependencies need. */
export interface DriverParts<Store> extends LoopServiceParts {
  readonly store: Store
  readonly registry: JobRegistry
  readonly leader: Leader
  readonly unled: UnledJobs
  readonly prepare: PrepareRun
  readonly events: Events
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
  /** Called with the number of runs that were queued. */
  readonly onQueued: (count: number) => void
}

/** How often a node that does not lead looks for work on jobs that the leader does not know, in poll intervals. */
export const UNLED_LOOKS = 5
