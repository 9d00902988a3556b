import { type EndedState } from '../../run/run.ts'
import { type BeyondWalk, type RetentionStore } from '../../store/history/retention-store.ts'
import { type Refused } from '../../store/statements/each-apart.ts'
import { HISTORY_TABLES, refusedChange } from '../refused-changes.ts'
import { type RowCheck } from '../../store/values/row-check.ts'
import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'
import { type Leader } from './leader.ts'
import { LoopService } from '../loop/loop-service.ts'

export interface RetentionOptions {
  /** How long runs that succeeded, and ticks that were skipped, are kept; 0: for ever. */
  readonly succeededMs: number
  /** How long runs that failed or were cancelled are kept; 0: for ever. */
  readonly failedMs: number
  /** Ended runs of a job that are kept; 0: all. */
  readonly runsPerJob: number
}

/** Between two passes, when the one before found something to delete, and when it did not. */
const PASS_MS = 60_000
const IDLE_PASS_MS = 15 * 60_000
/** Between two steps of one: others need the database too. */
const STEP_MS = 50

/** Deletes old runs, on the leader, in small steps. In the same way it looks for rows that can't be read; see `RowCheck`. */
export class Retention extends LoopService {
  readonly #store: RetentionStore
  readonly #rows: RowCheck
  readonly #clock: Clock
  readonly #leader: Leader
  readonly #options: RetentionOptions
  readonly #events: Events
  // Of the pass under way: what remains to be looked at.
  #deleted = 0
  #isRefusalTold = false
  #beyond: BeyondWalk | undefined
  #checkAt = 0
  #passAt = 0
  #walks: { readonly states: readonly EndedState[]; readonly olderThanMs: number; after: number }[] = []

  constructor(
    parts: { store: RetentionStore; rows: RowCheck; leader: Leader; clock: Clock; events: Events },
    options: RetentionOptions,
  ) {
    super('retention', parts.clock, parts.events)
    this.#store = parts.store
    this.#rows = parts.rows
    this.#clock = parts.clock
    this.#leader = parts.leader
    this.#events = parts.events
    this.#options = options
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    if (!this.#leader.isLeader) {
      this.#walks = []
      this.#beyond = undefined
      return PASS_MS
    }
    const checkInMs = await this.#check()
    return Math.min(checkInMs, await this.#delete())
  }

  /** A step of the look for rows that can't be read. Returns when the next one is due. */
  async #check(): Promise<number> {
    const leftMs = this.#checkAt - this.#clock.monotonic()
    if (leftMs > 0) return leftMs
    const pauseMs = (await this.#rows.step()) ? STEP_MS : PASS_MS
    this.#checkAt = this.#clock.monotonic() + pauseMs
    return pauseMs
  }

  async #delete(): Promise<number> {
    const waitMs = this.#passAt - this.#clock.monotonic()
    if (waitMs > 0) return waitMs
    const nextMs = await this.#deleteStep()
    this.#passAt = this.#clock.monotonic() + nextMs
    return nextMs
  }

  async #deleteStep(): Promise<number> {
    if (this.#beyond) {
      await this.#goBeyond(this.#beyond)
      return this.#nextMs
    }
    const walk = this.#walks[0]
    if (!walk) return this.#beginPass()
    const { count, next, refused } = await this.#store.step(walk, walk.after)
    this.#tell(count, refused)
    if (next === undefined) this.#walks.shift()
    else walk.after = next
    return this.#nextMs
  }

  async #goBeyond(from?: BeyondWalk): Promise<void> {
    const { count, walk, refused } = await this.#store.beyond(this.#options.runsPerJob, from)
    this.#tell(count, refused)
    this.#beyond = walk
  }

  get #nextMs(): number {
    return this.#beyond || this.#walks.length > 0 ? STEP_MS : this.#pauseMs
  }

  get #pauseMs(): number {
    return this.#deleted > 0 ? PASS_MS : IDLE_PASS_MS
  }

  async #beginPass(): Promise<number> {
    const { succeededMs, failedMs, runsPerJob } = this.#options
    this.#deleted = 0
    this.#isRefusalTold = false
    await this.#store.forgetRates()
    if (runsPerJob > 0) await this.#goBeyond()
    if (succeededMs > 0) this.#walks.push({ states: ['succeeded', 'skipped'], olderThanMs: succeededMs, after: 0 })
    if (failedMs > 0) this.#walks.push({ states: ['failed', 'cancelled'], olderThanMs: failedMs, after: 0 })
    return this.#nextMs
  }

  /** Runs that can't be deleted are told once a pass. */
  #tell(count: number, refused: readonly Refused[]): void {
    const error = this.#isRefusalTold ? undefined : refusedChange('deleted', refused, HISTORY_TABLES)
    if (error) {
      this.#isRefusalTold = true
      this.#events.emit('loop.failed', { loop: this.name, error, retryInMs: IDLE_PASS_MS })
    }
    this.#deleted += count
    if (count > 0) this.#events.emit('runs.deleted', { count })
  }
}
