import { databaseFault, isRefusedValue } from '../../sql/database-faults.ts'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type JobRegistry } from '../../job/registry.ts'
import { type JobDefinition } from '../../job/spec.ts'
import { isOptionFault } from '../../option-function.ts'
import { type BackfillRow } from '../../store/backfills/backfill-row.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { type ConfigVersion } from '../../store/jobs/config-store.ts'
import { type Store } from '../../store/store.ts'
import { type Events } from '../../events.ts'
import { type Window } from '../../time/window.ts'
import { withKeys } from '../admission-keys.ts'
import { type Clock } from '../../clock.ts'
import { type Leader } from '../node/leader.ts'
import { reportFailure } from '../loop/loop-failure.ts'
import { LoopService } from '../loop/loop-service.ts'
import { timelineOf } from './plan-job.ts'
import { refusedBackfill, refusedWindow } from '../refused-runs.ts'
import { sweep } from './backfill-sweep.ts'
import { type NewRun } from '../../store/runs/new-run.ts'

/** Steps of one backfill before the others have their turn. */
const STEPS = 3
/** Between two turns: others want the locks of job and backfill, and the event loop. */
const BREATH_MS = 10
/** How soon a backfill is looked at again while enough of its windows wait for their runs; twice as long each time that they still do. */
const SHORTEST_REST_MS = 20
const LONGEST_REST_MS = 200
/** A backfill whose job's functions fail, or of which a row can't be read, is looked at again after this. */
const PAUSE_MS = 10_000

interface Rest {
  readonly ms: number
  /** On the monotonic clock. */
  readonly until: number
}

/** Drives backfills to their ends, on the leader: keeps some of their windows in the queue. */
export class BackfillDriver extends LoopService {
  readonly #store: Store
  readonly #registry: JobRegistry
  readonly #leader: Leader
  readonly #savedConfig: (jobId: string) => ConfigVersion | undefined
  readonly #events: Events
  readonly #clock: Clock
  readonly #pollMs: number
  readonly #onPlanned: (count: number) => void
  /** By id, of backfills with enough windows that wait. */
  readonly #rests = new Map<number, Rest>()

  /** @param onPlanned so many runs are in the queue */
  constructor(
    parts: {
      readonly store: Store
      readonly registry: JobRegistry
      readonly leader: Leader
      readonly savedConfig: (jobId: string) => ConfigVersion | undefined
      readonly clock: Clock
      readonly events: Events
    },
    pollMs: number,
    onPlanned: (count: number) => void,
  ) {
    super('backfills', parts.clock, parts.events)
    this.#store = parts.store
    this.#registry = parts.registry
    this.#leader = parts.leader
    this.#savedConfig = parts.savedConfig
    this.#events = parts.events
    this.#clock = parts.clock
    this.#pollMs = pollMs
    this.#onPlanned = onPlanned
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    if (!this.#leader.isLeader) return Infinity
    const open = await this.#store.backfills.unfinished()
    for (const id of this.#rests.keys()) if (!open.some((one) => one.id === id)) this.#rests.delete(id)
    let pauseMs = this.#pollMs
    for (const { id, jobId, state } of open) {
      try {
        pauseMs = Math.min(
          pauseMs,
          state === 'cancelling' ? await this.#cancel(id, jobId) : await this.#drive(id, jobId),
        )
      } catch (thrown) {
        // The functions are the user's: one backfill that fails must not hold up the others.
        const isBroken = thrown instanceof BrokenRow
        const isRefused = !isBroken && isRefusedValue(thrown)
        const isOption = isOptionFault(thrown, jobId)
        if (!isOption && databaseFault(thrown) === 'outage') throw thrown
        const isToRest = isOption || isRefused || isBroken
        const retryInMs = isToRest ? PAUSE_MS : this.#pollMs
        if (isToRest) this.#rests.set(id, { ms: SHORTEST_REST_MS, until: this.#clock.monotonic() + retryInMs })
        const told = isRefused ? refusedBackfill(id, jobId, thrown) : thrown
        if (isBroken) this.#store.database.broken.report(thrown)
        else reportFailure(this.#events, { loop: this.name, thrown: told, retryInMs, failures: 1 })
      }
    }
    return pauseMs
  }

  async #drive(id: number, jobId: string): Promise<number> {
    const job = this.#registry.find(jobId)
    const windows = job?.policy.windows
    // Another node's code knows it, and plans it when it leads.
    if (!job || !windows) return this.#pollMs
    const leftMs = (this.#rests.get(id)?.until ?? -Infinity) - this.#clock.monotonic()
    if (leftMs > 0) return leftMs
    for (let steps = 0; steps < STEPS; steps++) {
      if (!this.#leader.isLeader) return this.#pollMs
      const { looked, queued, ended, refused } = await this.#store.backfills.step(id, jobId, {
        timeline: (generations) => timelineOf(job, windows, generations),
        waits: job.policy.dependsOn.length > 0,
        runOf: (window, backfill) => this.#runOf(job, window, backfill),
      })
      if (refused) {
        const thrown = refusedWindow(jobId, refused.window, refused.refusal)
        reportFailure(this.#events, { loop: this.name, thrown, retryInMs: 0, failures: 1 })
      }
      if (ended) {
        this.#events.emit('backfill.changed', { backfillId: id, jobId, state: ended })
        return this.#pollMs
      }
      if (looked === 0) return this.#rest(id)
      this.#rests.delete(id)
      if (queued > 0) this.#onPlanned(queued)
      // On SQLite a step is one turn of the event loop.
      await nextTurn()
    }
    return BREATH_MS
  }

  #rest(id: number): number {
    const ms = Math.min(2 * (this.#rests.get(id)?.ms ?? SHORTEST_REST_MS / 2), LONGEST_REST_MS)
    this.#rests.set(id, { ms, until: this.#clock.monotonic() + ms })
    return ms
  }

  async #cancel(id: number, jobId: string): Promise<number> {
    if (!(await sweep(this.#store, id))) return LONGEST_REST_MS
    this.#events.emit('backfill.changed', { backfillId: id, jobId, state: 'cancelled' })
    return this.#pollMs
  }

  #runOf(job: JobDefinition, window: Window, { id, priority, config }: BackfillRow): NewRun {
    const run: NewRun = { jobId: job.id, kind: 'backfill', priority, window, config, backfillId: id }
    return withKeys(job, run, this.#savedConfig(job.id)?.config)
  }
}
