import type { DatabaseFault } from './sql/database-faults.ts'
import { stackOf, watchStray } from './errors-read.ts'
import type { BackfillState } from './ledger/backfill.ts'
import type { ItemCounts } from './item/item-counts.ts'
import type { ActorKind } from './access/actor.ts'
import type { ItemPhases, ItemState } from './item/item.ts'
import type { BatchState } from './run/batch.ts'
import type { NoticeKind } from './notice/notice.ts'
import type { Outcome, RunState } from './run/run.ts'

/** All events of the engine. `docs/events.md` lists each event with its payload. */
export interface EventMap {
  'node.started': { nodeId: string; jobs: number }
  'node.stopped': { nodeId: string }
  /**
   * A stopping node no longer waits for the runs that were running when the stop began. `ended` of them have ended. `givenBack` of them are
   * queued again, and these attempts do not count. Of these, `stillRunning` have handlers that ignored their signal and continue until the
   * process ends. The outcomes of `leftBehind` runs are not stored, so another node recovers them. `runs` names the runs left behind; if
   * there are none, it names those still running: `sync_orders 17`.
   */
  'node.drained': {
    ended: number
    givenBack: number
    stillRunning: number
    leftBehind: number
    runs: readonly string[]
  }
  /** The node did not renew its lease in time, so its claims are no longer valid. It continues under a new id. */
  'node.lost': { nodeId: string; newNodeId: string }
  'leader.changed': { isLeader: boolean; epoch: number | undefined }
  /** This node has read a new version of a job's config, which takes effect at `effectiveFrom`. */
  'config.changed': { jobId: string; version: number; effectiveFrom: Date }
  /**
   * The job's schema refuses a version of its config, so this node keeps the previous version. Emitted once for each distinct config.
   */
  'config.refused': { jobId: string; version: number; inForce: number | undefined; error: Error }
  /** A schedule that was set in a job's row has taken effect; null: the job now has none. */
  'schedule.changed': { jobId: string; schedule: string | null }
  /** A schedule that was set in a job's row can't be read, so the previous one continues. Emitted once for each distinct schedule. */
  'schedule.refused': { jobId: string; schedule: string | null; error: Error }
  /** This process uses a new version of a shared value. */
  'shared.changed': { topic: string; version: number }
  /** The schema of this process refuses a version of a shared value, so the previous one stays. Emitted once for each version. */
  'shared.refused': { topic: string; version: number; inForce: number; error: Error }
  /** This process became the leader of an elector, or is no longer the leader. `epoch` grows with each leader. */
  'elector.changed': { elector: string; isLeader: boolean; epoch: number | undefined }
  /** The shared level of a cache does not answer, so this process loads values without it. Emitted once per outage. */
  'cache.degraded': { cache: string; error: Error }
  /** The shared level of a cache answers again. */
  'cache.recovered': { cache: string; outageMs: number }
  /**
   * A person or a program changed something through this process, and the audit has recorded the change. `outcome` is `unknown` if the
   * change failed halfway.
   */
  'change.recorded': {
    auditId: number
    verb: string
    jobId: string | undefined
    target: string | undefined
    outcome: 'done' | 'unknown'
    actor: { kind: ActorKind; name: string }
  }
  /** A requested change was refused, so nothing was changed. */
  'change.refused': { verb: string; code: string; actor: string }
  /** A change was made, but its audit row could not be completed: it still says `started`. */
  'change.unrecorded': { verb: string; jobId: string | undefined; target: string | undefined; error: Error }
  /**
   * A notice was delivered to a hook or a notifier. `channel` is `job:<id>`, `app` or `notifier:<name>`. `durationMs` is the time of the
   * call.
   */
  'notice.sent': {
    noticeId: number
    channel: string
    kind: NoticeKind
    jobCount: number
    count: number
    tries: number
    durationMs: number
  }
  /** The call to a hook or a notifier failed. `retryInMs` is undefined if no further try follows, because the first try was a day ago. */
  'notice.failed': {
    noticeId: number
    channel: string
    kind: NoticeKind
    tries: number
    error: Error
    retryInMs: number | undefined
  }
  /** The HTTP server has answered a request. `route` is the pattern of its path, `none` if no route matches. */
  'request.answered': { method: string; route: string; status: number; durationMs: number }
  /** A request to the HTTP API was refused before it was executed. `actor` is undefined if the sender was not recognized. */
  'request.refused': { code: string; route: string; actor: string | undefined }
  'tick.skipped': { jobId: string; tick: Date; reason: string }
  'runs.planned': { jobId: string; count: number }
  /** The catch-up of a job skips windows; the ledger records each of them as skipped. */
  'windows.skipped': { jobId: string; count: number }
  /**
   * This node has ended the database connections of nodes whose leases had expired, so the server has rolled back their open transactions.
   * Emitted only on MySQL.
   */
  'connections.ended': { count: number; nodeIds: readonly string[] }
  /** This node can't end the connections of dead nodes, so the locks of these connections may remain. Emitted once. */
  'connections.left': { nodeIds: readonly string[]; error: Error }
  /**
   * Jobs that no live node has in its code although they have a schedule or queued runs. Emitted when the set changes; an empty list means
   * that every job is known again.
   */
  'jobs.unknown': { jobIds: readonly string[] }
  'runs.recovered': { count: number; nodeIds: readonly string[] }
  /** Old runs were deleted, by the `[history]` settings or manually. */
  'runs.deleted': { count: number }
  /** This node created, paused, resumed or cancelled a backfill, or the backfill ended. */
  'backfill.changed': { backfillId: number; jobId: string; state: BackfillState }
  /** This node created, replayed or cancelled a batch, or the batch ended. `doneRunId` is the run of its `onDone` job. */
  'batch.changed': { batchId: number; jobId: string; state: BatchState; doneRunId: number | undefined }
  'run.started': { runId: number; jobId: string; attempt: number; latenessMs: number }
  'run.progress': { runId: number; jobId: string; done: number; total: number | undefined; message: string | undefined }
  /**
   * An attempt ended and its outcome is stored. `state` is the run's new state; `queued` means that another attempt follows. If
   * `isGivenUp`, the handler did not end within the grace time after its signal aborted, and it is still running. If `isUntried`, the
   * handler was not called, because the job had reached its rate limit.
   */
  'run.settled': {
    runId: number
    jobId: string
    attempt: number
    outcome: Outcome['kind']
    state: RunState
    durationMs: number
    error: Error | undefined
    retryInMs: number | undefined
    isGivenUp: boolean
    isUntried: boolean
  }
  /** This node's claim was no longer valid when the attempt ended, so nothing was written. */
  'run.lost': { runId: number; jobId: string; fence: number }
  /** A try of an item has ended, and its end is stored. `state` is its new state; `queued` means that it will be tried again. */
  'item.ended': {
    runId: number
    jobId: string
    itemId: number
    kind: string
    state: ItemState
    /** The class of the error; undefined unless the item is dead. */
    class: string | undefined
    durationMs: number
    /** The parts of `durationMs`; undefined if the item's function was not called. */
    phases: ItemPhases | undefined
  }
  /** The item counts of a run that has items on this node, emitted each second. */
  'items.progress': { runId: number; jobId: string } & ItemCounts
  /**
   * The progress of a crawl's run that has pages on this node, emitted each second. `perSecond` is the number of pages that ended per
   * second since the last event. `etaMs` is the time until all known pages end at this speed. `reasons` counts skipped pages, and requests
   * that a limit left out.
   */
  'crawl.progress': {
    runId: number
    jobId: string
    perSecond: number
    etaMs: number | undefined
    reasons: Readonly<Record<string, number>>
    steps: Readonly<Record<string, StepProgress>>
  } & ItemCounts
  /**
   * The circuit breaker of a lane has opened. No item of the lane begins until `openUntil`; then one item tests the lane. If this item
   * fails in a way that the breaker counts, the event is emitted again. `opens` is how often the breaker has opened since the lane last
   * worked. Emitted only by the node whose item opened it.
   */
  'lane.opened': { laneId: number; scope: string; lane: string; openUntil: Date; opens: number }
  /**
   * The circuit breaker of a lane has closed, because the item that tested the lane did not fail in a way that the breaker counts. Emitted
   * only by the node of this item.
   */
  'lane.closed': { laneId: number; scope: string; lane: string }
  /** An item is dead: it is not tried again. */
  'item.dead': {
    runId: number
    jobId: string
    itemId: number
    kind: string
    key: string
    class: string
    /** The message of its last error, without secrets. Undefined if the item is dead because the nodes that executed it died. */
    error: string | undefined
  }
  /** The target of a sink is down, so its batches go to this host's disk. Emitted once per outage. */
  'sink.spilling': { sink: string; error: Error }
  /** All batches on disk have reached their target. `rows` is the number of rows that were on disk. */
  'sink.drained': { sink: string; rows: number; outageMs: number }
  /** This node takes over the batches that a process left on this host when it ended. */
  'sink.adopted': { sink: string; segments: number; bytes: number }
  /** A segment on disk is damaged. It stays in `file`; its undamaged batches were delivered. */
  'sink.damaged': { sink: string; file: string; problems: readonly string[]; lostBytes: number }
  /** The target holds rows of a newer run, so a batch from disk was dropped. */
  'sink.superseded': { sink: string; jobId: string; runId: number; rows: number; error: Error }
  /** The target refused rows, which are now dead letters. `reason` is the reason for the first of them. */
  'sink.dead': { sink: string; jobId: string; runId: number; rows: number; reason: string }
  /** A service of the tree crashed, and its supervisor handles it. `service` is its path, such as `Piko/planner`. */
  'service.crashed': { service: string; error: Error }
  /** A service is running again. `restarts` is the number of its restarts since the process started. */
  'service.restarted': { service: string; restarts: number }
  /** A background task of a service did not end in time, and the stop continued without it. */
  'service.stuck': { service: string; task: string; waitedMs: number }
  /** The event loop was blocked. `culprit` is the function that blocked it, if known. `stack`: at most ten frames, your own first. */
  'loop.blocked': { blockedMs: number; culprit: string | undefined; stack: readonly string[] }
  /**
   * A step of one of the engine's loops failed, and the loop continues after a pause. `fault` is the kind of error if the database caused
   * it. `failures` is the number of failures in a row.
   */
  'loop.failed': {
    loop: string
    error: Error
    retryInMs: number
    fault?: DatabaseFault | undefined
    failures?: number
  }
  /**
   * A row that a person has edited can't be read, so Piko skips it and continues with everything else. `key` is SQL, such as `id = 17`.
   * `columns` names the invalid columns. The message of `error` shows a statement that corrects the row. Emitted once, until the fault
   * changes.
   */
  'row.broken': { table: string; key: string; columns: readonly string[]; error: Error }
  /** A loop that had failed works again. */
  'loop.recovered': { loop: string; failures: number }
  /** A resource failed its check. Runs that need it wait while Piko opens it again. */
  'resource.lost': { resource: string; error: Error }
  /** A lost resource works again. `tries` is the number of failed tries to open it. */
  'resource.recovered': { resource: string; lostMs: number; tries: number }
  /** The store does not answer or can't do its work. The first loop that notices reports it for all loops. */
  'store.outage': { error: Error }
  /** All loops that failed in an outage work again. */
  'store.recovered': { outageMs: number; failures: number }
}

/** The pages of one step of a crawl. `open`: queued or running. */
export interface StepProgress extends Pick<ItemCounts, 'total' | 'done' | 'dead' | 'skipped'> {
  readonly open: number
}

export type EventName = keyof EventMap

type Listener<N extends EventName> = (payload: EventMap[N]) => unknown
type AnyListener = (name: EventName, payload: EventMap[EventName]) => void

/**
 * Typed, synchronous events. Listeners only observe: they can't fail or delay the engine. They may be async. An error in a listener becomes
 * a process warning and has no other effect.
 *
 * Users add events of their own: `declare module 'piko' { interface EventMap { 'order.paid': { orderId: number } } }`.
 */
export class Events {
  /** The listeners by the function that the user passed. For `once`, the listener wraps this function. */
  readonly #listeners = new Map<EventName, Map<Listener<never>, Listener<never>>>()
  readonly #any = new Set<AnyListener>()

  /** Calls the listener for each event of this name. Returns a function that removes it. */
  on<N extends EventName>(name: N, listener: Listener<N>): () => void {
    return this.#add(name, listener, listener)
  }

  /** Calls the listener for the next event only. Returns a function that removes it. */
  once<N extends EventName>(name: N, listener: Listener<N>): () => void {
    const remove = this.#add(name, listener, (payload: EventMap[N]) => {
      remove()
      return listener(payload)
    })
    return remove
  }

  /** Removes a listener that `on` or `once` added. */
  off<N extends EventName>(name: N, listener: Listener<N>): void {
    this.#listeners.get(name)?.delete(listener)
  }

  /** Listens to every event. */
  onAny(listener: AnyListener): () => void {
    this.#any.add(listener)
    return () => this.#any.delete(listener)
  }

  emit<N extends EventName>(name: N, payload: EventMap[N]): void {
    // Two events of each run pass here. A loop over an iterator, or a closure, would create garbage for each of them.
    this.#listeners.get(name)?.forEach(callWith, payload)
    if (this.#any.size > 0) this.#callAny(name, payload)
  }

  /** Calls all listeners, and resolves when all have ended, async ones included. Never rejects. */
  async emitAndWait<N extends EventName>(name: N, payload: EventMap[N]): Promise<void> {
    const listeners = [...(this.#listeners.get(name)?.values() ?? [])]
    const results = listeners.map((listener) => call(listener as Listener<N>, payload))
    this.#callAny(name, payload)
    await Promise.allSettled(results)
  }

  #callAny<N extends EventName>(name: N, payload: EventMap[N]): void {
    for (const listener of this.#any) call((given: EventMap[N]) => listener(name, given), payload)
  }

  #add<N extends EventName>(name: N, listener: Listener<N>, called: Listener<N>): () => void {
    const listeners = this.#listeners.get(name) ?? new Map<Listener<never>, Listener<never>>()
    this.#listeners.set(name, listeners)
    listeners.set(listener, called)
    return () => {
      if (listeners.get(listener) === called) listeners.delete(listener)
    }
  }
}

/** Calls a listener with the payload as `this`. */
function callWith(this: unknown, listener: Listener<never>): void {
  call(listener as (payload: unknown) => unknown, this)
}

/** Calls a listener, which may be async. @returns what it returned */
function call<T>(listener: (payload: T) => unknown, payload: T): unknown {
  try {
    const result = listener(payload)
    watchStray(result, warn)
    return result
  } catch (error) {
    warn(error)
    return undefined
  }
}

function warn(error: unknown): void {
  process.emitWarning(`an event listener failed: ${stackOf(error)}`, 'PikoListenerWarning')
}
