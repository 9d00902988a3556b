import { databaseFault, isRefusedValue } from '../../sql/database-faults.ts'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JobDefinition } from '../../job/spec.ts'
import { isOptionFault } from '../../option-function.ts'
import type { BackfillRow } from '../../store/backfills/backfill-row.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import type { Store } from '../../store/store.ts'
import type { Window } from '../../time/window.ts'
import { LoopService } from '../loop/loop-service.ts'
import { type DriverParts, UNLED_LOOKS } from './driver-parts.ts'
import { timelineOf } from './plan-job.ts'
import { refusedBackfill, refusedWindow } from '../refused-runs.ts'
import { sweep } from './backfill-sweep.ts'
import type { NewRun } from '../../store/runs/new-run.ts'

/** How many steps one backfill gets before the others have their turn. */
const STEPS = 3
/** How long to wait between two turns. Other work needs the event loop, and the locks on the job and the backfill. */
const BREATH_MS = 10
/**
 * How long a backfill first pauses when it has nothing to do, for example because enough of its windows are pending or waiting. The pause
 * doubles each time.
 */
const SHORTEST_REST_MS = 20
const LONGEST_REST_MS = 200
/** How long a backfill pauses if a function of its job fails, a row can't be read or the database refuses a value. */
const PAUSE_MS = 10_000

interface Rest {
  readonly ms: number
  /** Milliseconds on the monotonic clock. */
  readonly until: number
}

/**
 * Runs on the leader. Advances all backfills until they end. Each has only a limited number of pending and waiting windows at a time.
 * Another node advances those of its jobs that the leader does not know. A step locks the backfill, so two nodes do no harm.
 */
export class BackfillDriver extends LoopService {
  readonly #parts: DriverParts<Store>
  /** The pauses of backfills that have nothing to do or have failed, by id. */
  readonly #rests = new Map<number, Rest>()

  constructor(parts: DriverParts<Store>) {
    super('backfills', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    const { isLeader } = this.#parts.leader
    const open = isLeader ? await this.#parts.store.backfills.unfinished() : await this.#unled()
    if (!isLeader && open.length === 0) return this.#parts.pollIntervalMs * UNLED_LOOKS
    for (const id of this.#rests.keys()) if (!open.some((one) => one.id === id)) this.#rests.delete(id)
    let pauseMs = this.#parts.pollIntervalMs
    for (const { id, jobId, state } of open) {
      try {
        pauseMs = Math.min(
          pauseMs,
          state === 'cancelling' ? await this.#cancel(id, jobId) : await this.#drive(id, jobId),
        )
      } catch (thrown) {
        // The cause may be a user's function or an invalid row. One failing backfill must not delay the others.
        const isBroken = thrown instanceof BrokenRow
        const isRefused = !isBroken && isRefusedValue(thrown)
        const isOption = isOptionFault(thrown, jobId)
        if (!isOption && databaseFault(thrown) === 'outage') throw thrown
        const isToRest = isOption || isRefused || isBroken
        const retryInMs = isToRest ? PAUSE_MS : this.#parts.pollIntervalMs
        if (isToRest) this.#rests.set(id, { ms: SHORTEST_REST_MS, until: this.#parts.clock.monotonic() + retryInMs })
        const told = isRefused ? refusedBackfill(id, jobId, thrown) : thrown
        if (isBroken) this.#parts.store.database.broken.report(thrown)
        else this.#parts.loops.failed({ loop: this.name, thrown: told, retryInMs, failures: 1 })
      }
    }
    return pauseMs
  }

  /** Returns the backfills of this node's jobs that the leader can't advance, because its code does not know these jobs. */
  async #unled(): Promise<Awaited<ReturnType<Store['backfills']['unfinished']>>> {
    const { store, registry, unled } = this.#parts
    const all = await store.backfills.unfinished()
    const known = all.filter(({ jobId, state }) => state !== 'cancelling' && registry.find(jobId) !== undefined)
    const jobIds = new Set(await unled.among(known.map(({ jobId }) => jobId)))
    return known.filter(({ jobId }) => jobIds.has(jobId))
  }

  async #drive(id: number, jobId: string): Promise<number> {
    const job = this.#parts.registry.find(jobId)
    const windows = job?.policy.windows
    // This node does not know the job. A node whose code has the job advances the backfill.
    if (!job || !windows) return this.#parts.pollIntervalMs
    const leftMs = (this.#rests.get(id)?.until ?? -Infinity) - this.#parts.clock.monotonic()
    if (leftMs > 0) return leftMs
    const { isLeader } = this.#parts.leader
    for (let steps = 0; steps < STEPS; steps++) {
      if (this.#parts.leader.isLeader !== isLeader) return this.#parts.pollIntervalMs
      const { looked, queued, ended, refused } = await this.#parts.store.backfills.step(id, jobId, {
        timeline: (generations) => timelineOf(job, windows, generations),
        waits: job.policy.dependsOn.length > 0,
        runOf: (window, backfill) => this.#runOf(job, window, backfill),
      })
      if (refused) {
        const thrown = refusedWindow(jobId, refused.window, refused.refusal)
        this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: 0, failures: 1 })
      }
      if (ended) {
        this.#parts.events.emit('backfill.changed', { backfillId: id, jobId, state: ended })
        return this.#parts.pollIntervalMs
      }
      if (looked === 0) return this.#rest(id)
      this.#rests.delete(id)
      if (queued > 0) this.#parts.onQueued(queued)
      // On SQLite, a step does not yield to the event loop, so other work gets its turn here.
      await nextTurn()
    }
    return BREATH_MS
  }

  #rest(id: number): number {
    const ms = Math.min(2 * (this.#rests.get(id)?.ms ?? SHORTEST_REST_MS / 2), LONGEST_REST_MS)
    this.#rests.set(id, { ms, until: this.#parts.clock.monotonic() + ms })
    return ms
  }

  async #cancel(id: number, jobId: string): Promise<number> {
    if (!(await sweep(this.#parts.store, id))) return LONGEST_REST_MS
    this.#parts.events.emit('backfill.changed', { backfillId: id, jobId, state: 'cancelled' })
    return this.#parts.pollIntervalMs
  }

  #runOf(job: JobDefinition, window: Window, { id, priority, config }: BackfillRow): NewRun {
    const run: NewRun = { jobId: job.id, kind: 'backfill', priority, window, config, backfillId: id }
    return this.#parts.prepare.keyed(job, run)
  }
}
