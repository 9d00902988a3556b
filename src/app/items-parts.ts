import type { Locks } from '../engine/attempt/locks.ts'
import type { RootParts } from '../engine/attempt/run-pipeline.ts'
import type { RunLogs } from '../engine/attempt/run-logs.ts'
import type { ItemDispatcher } from '../engine/items/item-dispatcher.ts'
import type { ItemRunner } from '../engine/items/item-runner.ts'
import type { Caches } from '../engine/node/caches.ts'
import type { SharedValues } from '../engine/node/shared-values.ts'
import type { PrepareRun } from '../engine/prepare-run.ts'
import type { Service } from '../service/service.ts'

/** The parts of a node that run the items of runs. Loaded only by an app with items. */
export interface Items {
  readonly root: RootParts
  readonly runner: ItemRunner
  readonly dispatcher: ItemDispatcher
  /** How many lanes of each scope have an open circuit breaker. */
  readonly openLanes: () => ReadonlyMap<string, number>
  /** Called when this node has lost its lease. Aborts the items of the node, and clears the caches of lane ids and fingerprints. */
  readonly lost: (reason: Error) => void
  /** The services, in the order in which they start. */
  readonly services: readonly Service[]
}

export interface ItemsOwn {
  readonly nodeId: () => string
  readonly holdsLease: () => boolean
  readonly prepare: PrepareRun
  readonly locks: Locks
  readonly shared: SharedValues
  readonly caches: Caches
  readonly runLogs: RunLogs
  /** The runs that this process has requested, if it executes no others. */
  readonly ownRuns: ReadonlySet<number> | undefined
}
