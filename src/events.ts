import { type DatabaseFault } from './sql/database-faults.ts'
import { stackOf, watchStray } from './errors-read.ts'
import { type BackfillState } from './ledger/backfill.ts'
import { type Outcome, type RunState } from './run/run.ts'

/** Everything that the engine tells the world. `docs/events.md` lists each event with its payload. */
export interface EventMap {
  'node.started': { nodeId: string; jobs: number }
  'node.stopped': { nodeId: string }
  /**
   * The stop of a node is done with the runs that were under way when it began. `givenBack`: they are queued again, uncounted;
   * of these `stillRunning` have handlers that ignored their signal and go on until the process ends. `leftBehind`: their ends
   * are not stored, and another node recovers them. `runs` names those left behind, else those still running: `sync_orders 17`.
   */
  'node.drained': {
    ended: number
    givenBack: number
    stillRunning: number
    leftBehind: number
    runs: readonly string[]
  }
  /** The node did not renew its lease in time: what it claimed is no longer its own. It goes on under a new id. */
  'node.lost': { nodeId: string; newNodeId: string }
  'leader.changed': { isLeader: boolean; epoch: number | undefined }
  /** This node knows a new version of a job's config; it is in force from `effectiveFrom` on. */
  'config.changed': { jobId: string; version: number; effectiveFrom: Date }
  /** A schedule that somebody has set in a job's row counts from now on; null: none. */
  'schedule.changed': { jobId: string; schedule: string | null }
  /** A schedule that somebody has set in a job's row can't be read; the one before goes on. Told once for each text. */
  'schedule.refused': { jobId: string; schedule: string | null; error: Error }
  'tick.skipped': { jobId: string; tick: Date; reason: string }
  'runs.planned': { jobId: string; count: number }
  /** Windows that catch-up leaves out; each is recorded in the ledger as skipped. */
  'windows.skipped': { jobId: string; count: number }
  'runs.recovered': { count: number; nodeIds: readonly string[] }
  /** Old runs were deleted, by the rules of `[history]` or by hand. */
  'runs.deleted': { count: number }
  /** A backfill was made, paused, resumed or cancelled by this node, or has come to its end. */
  'backfill.changed': { backfillId: number; jobId: string; state: BackfillState }
  'run.started': { runId: number; jobId: string; attempt: number; latenessMs: number }
  'run.progress': { runId: number; jobId: string; done: number; total: number | undefined; message: string | undefined }
  /**
   * The end of an attempt, after it is stored. `state` is the run's new state; `queued` means that it will be tried again.
   * `isGivenUp`: its handler did not end within the grace time after its signal aborted, and still runs.
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
  }
  /** This node's claim was no longer valid when the attempt ended: nothing was written. */
  'run.lost': { runId: number; jobId: string; fence: number }
  /** A service of the tree crashed; its supervisor answers. `service` is its path: `Piko/planner`. */
  'service.crashed': { service: string; error: Error }
  /** A service runs again; `restarts` counts since the start of the process. */
  'service.restarted': { service: string; restarts: number }
  /** A background task of a service did not end in time when it stopped; the stop went on without it. */
  'service.stuck': { service: string; task: string; waitedMs: number }
  /** The event loop did not turn for a while; `culprit` is the function that held it, where it was seen. */
  'loop.blocked': { blockedMs: number; culprit: string | undefined; stack: readonly string[] }
  /**
   * A step of one of the engine's loops failed; the loop goes on after a pause. `fault`: what that means where the database is the
   * cause; `failures`: in a row.
   */
  'loop.failed': {
    loop: string
    error: Error
    retryInMs: number
    fault?: DatabaseFault | undefined
    failures?: number
  }
  /**
   * A row that somebody has edited by hand can't be read: it is left out, and everything else goes on. `key`: as SQL, such as `id = 17`;
   * `columns`: what is wrong in it; the message of `error` has the statement that corrects it. Told once, until something else is wrong.
   */
  'row.broken': { table: string; key: string; columns: readonly string[]; error: Error }
  /** A loop that had failed works again. */
  'loop.recovered': { loop: string; failures: number }
  /** The store does not answer, or can't serve: the first loop to find out reports it, for all of them. */
  'store.outage': { error: Error }
  /** Every loop that had failed in an outage works again. */
  'store.recovered': { outageMs: number; failures: number }
}

export type EventName = keyof EventMap

type Listener<N extends EventName> = (payload: EventMap[N]) => void
type AnyListener = (name: EventName, payload: EventMap[EventName]) => void

/**
 * Typed, synchronous events. Listeners observe: they can't fail or delay what they watch, so an error in one is
 * reported as a warning of the process and goes no further.
 */
export class Events {
  readonly #listeners = new Map<EventName, Set<Listener<never>>>()
  readonly #any = new Set<AnyListener>()

  /** Returns the function that takes the listener off again. */
  on<N extends EventName>(name: N, listener: Listener<N>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Listens to every event. */
  onAny(listener: AnyListener): () => void {
    this.#any.add(listener)
    return () => this.#any.delete(listener)
  }

  emit<N extends EventName>(name: N, payload: EventMap[N]): void {
    const listeners = this.#listeners.get(name)
    if (listeners) {
      for (const listener of listeners) {
        try {
          // Returns nothing by its type; an async listener returns a promise all the same.
          watchStray((listener as (payload: EventMap[N]) => unknown)(payload), warn)
        } catch (error) {
          warn(error)
        }
      }
    }
    for (const listener of this.#any) {
      try {
        watchStray((listener as (name: N, payload: EventMap[N]) => unknown)(name, payload), warn)
      } catch (error) {
        warn(error)
      }
    }
  }
}

function warn(error: unknown): void {
  process.emitWarning(`a listener of events failed: ${stackOf(error)}`, 'PikoListenerWarning')
}
