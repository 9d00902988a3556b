import type { RunUnderWay } from '../engine/execution/executor.ts'
import type { Electors } from '../engine/node/electors.ts'
import type { Leader } from '../engine/node/leader.ts'
import { FleetServices } from '../engine/fleet/fleet-services.ts'
import { FleetWatch } from '../engine/fleet/fleet-watch.ts'
import { lazyLimits } from '../engine/limits/lazy-limits.ts'
import { Enqueue } from '../operations/runs/enqueue.ts'
import type { Changed, Reach } from '../operations/reach.ts'
import { RunWaiter } from '../operations/runs/run-waiter.ts'
import type { EventMap } from '../events.ts'
import type { Service } from '../service/service.ts'
import { buildExecution, type Execution } from './build-execution.ts'
import { buildPlanning, type Planning } from './build-planning.ts'
import type { NodeParts } from './node-parts.ts'

/**
 * This process's share of the work, as services in start order:
 *
 * doorbell → node-link → heartbeat → connection-report → recovery → config-watcher → waiter → locks → shared-values → electors → caches →
 * live-events → enqueue → run-logs → run-progress → cancellation → node-report → executor → item-waits → crawls → item-runner →
 * item-sweeper → item-dispatcher → registration → leader → planner → retention → unknown-jobs → backfills → batches → dependencies →
 * notices → alerting → dispatcher
 *
 * They stop in reverse order. First the node stops claiming and stops leading. Then it waits for its runs; their handlers can still request
 * other runs. Only then does it release its lease.
 */
export class Node {
  readonly services: readonly Service[]
  readonly enqueue: Enqueue
  readonly leader: Leader
  readonly electors: Electors
  readonly reach: Reach
  readonly #parts: NodeParts
  readonly #execution: Execution

  constructor(parts: NodeParts) {
    const { registry, events, clock, loops, role } = parts
    const { store } = parts.store
    store.database.broken.onReport = (error) => {
      const { table, key, columns } = error
      events.emit('row.broken', { table, key, columns, error })
    }
    const execution = buildExecution(parts)
    store.cancels.onRequested = (nodeIds) => {
      if (nodeIds.includes(this.id)) execution.cancellation.wake()
      execution.link.tellAll({ kind: 'cancel' }, nodeIds)
    }
    const { configs, prepare, locks, shared, electors, caches, feed, runLogs, progress } = execution
    const { executor, dispatcher, signal } = execution
    const planning = buildPlanning(parts, execution)
    const waiter = new RunWaiter(execution.live.polled({ runs: store.runs, clock, loops }))
    this.#parts = parts
    this.#execution = execution
    this.leader = planning.leader
    this.electors = electors
    this.enqueue = new Enqueue({
      ...{ registry, store, waiter, prepare },
      onStored: execution.ownRuns && ((ids) => ids.forEach((id) => execution.ownRuns?.add(id))),
      onEnqueued: (runAts) => signal.dueAt(runAts),
      slots: role.execute ? dispatcher : undefined,
    })
    this.reach = execution.live.polled({
      ...{ store, registry, configs, locks, shared, caches, feed, runLogs, progress, prepare },
      ...{ outlets: parts.outlets, notifyTimeoutMs: parts.settings.notify.timeoutMs },
      sinks: parts.sinkReach,
      watch: new FleetWatch({ nodeId: () => this.id, watch: execution.watch, link: execution.link }),
      fleet: new FleetServices(execution.link, () => (role.execute ? this.id : undefined)),
      resources: { nodeId: () => this.id, stats: () => parts.resources.stats() },
      trial: {
        borrow: (map, borrower) => parts.resources.borrow(map, borrower),
        limit: lazyLimits({ store, clock, events }),
        ...{ runLog: parts.runLog, clock },
      },
      changed: changedOf(parts, execution, planning),
    })
    this.services = [
      execution.doorbell,
      execution.link,
      ...(role.execute
        ? [
            execution.lease.dependsOn(execution.doorbell, execution.link),
            execution.connectionReport.dependsOn(execution.lease),
            execution.recovery.dependsOn(execution.lease),
          ]
        : []),
      configs,
      waiter,
      locks,
      shared,
      electors.dependsOn(locks),
      caches,
      feed,
      this.enqueue.dependsOn(waiter),
      // The cancellation starts before the executor and stops after it, so runs can be cancelled until the last one has ended.
      ...(role.execute
        ? [
            runLogs,
            progress,
            execution.cancellation,
            execution.nodeReport,
            execution.executor.dependsOn(parts.store, parts.resources, parts.sinks),
          ]
        : []),
      ...(execution.items?.services.map((service) => service.dependsOn(execution.connectionReport)) ?? []),
      ...(role.execute ? (role.plan ? planning.services : [planning.batches]) : []),
      ...(role.execute ? [dispatcher.dependsOn(execution.executor, execution.connectionReport)] : []),
    ]
    execution.watch.onAdded = () => {
      runLogs.wake()
      progress.wake()
    }
    executor.onSettled((run) => {
      waiter.settled(run)
      if (execution.watch.has(run.runId)) void this.#tellWatchers(run.runId)
      parts.resources.settled(run.runId, retriesHere(run) ? run.retryInMs : undefined)
      if (run.retryInMs !== undefined) dispatcher.expect([new Date(clock.now() + run.retryInMs)])
    })
  }

  /** Waits until the log lines and the progress of a run are stored, or could not be, and then notifies its watchers. */
  async #tellWatchers(runId: number): Promise<void> {
    const { runLogs, progress, watch } = this.#execution
    await Promise.allSettled([runLogs.stored(runId), progress.stored([runId])])
    watch.tell([runId], true)
  }

  /** Begins the stop. The time limit for the running runs starts now. */
  beginStop(): void {
    this.#execution.executor.beginStop()
  }

  get id(): string {
    return this.#execution.lease.nodeId
  }

  /** Runs that began on this node and whose outcomes are not stored yet. */
  get runsUnderWay(): RunUnderWay[] {
    return this.#execution.executor.underWay
  }

  /** The versions of configs in force on this node, by job. */
  get configVersions(): (readonly [jobId: string, version: number])[] {
    const { registry } = this.#parts
    return registry.ids.flatMap((jobId) => {
      const version = this.#execution.configs.inForce(jobId)?.version
      return version === undefined ? [] : [[jobId, version] as const]
    })
  }

  /** How many lanes of each scope have an open circuit breaker, across all nodes. */
  get openLanes(): ReadonlyMap<string, number> {
    return this.#execution.items?.openLanes() ?? new Map<string, number>()
  }

  /** The number of handlers that are running. */
  get active(): number {
    return this.#execution.executor.running
  }

  get slots(): number {
    return this.#parts.role.execute ? this.#execution.live.concurrency : 0
  }
}

/** Whether a failed attempt is followed by another attempt that may begin on this node. */
function retriesHere({ state, outcome }: EventMap['run.settled']): boolean {
  return state === 'queued' && (outcome === 'failure' || outcome === 'timeout')
}

function changedOf({ events }: NodeParts, execution: Execution, planning: Planning): Changed {
  const { cancellation, dispatcher, signal } = execution
  return {
    runsCancelled: () => cancellation.wake(),
    runsQueued: (count) => signal.queued(count),
    runsDeleted: (count) => events.emit('runs.deleted', { count }),
    backfill: ({ id, jobId, state }) => {
      events.emit('backfill.changed', { backfillId: id, jobId, state })
      planning.backfills.wake()
      dispatcher.wake()
    },
    batch: ({ id, jobId, state, doneRunId }) => {
      events.emit('batch.changed', { batchId: id, jobId, state, doneRunId })
      planning.batches.wake()
    },
  }
}
