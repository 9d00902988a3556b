import type { EndedState } from '../../run/run.ts'
import type { Settings } from '../../settings/settings.ts'
import type { BatchStore } from '../../store/batches/batch-store.ts'
import type { BeyondWalk, RetentionStore } from '../../store/history/retention-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import { HISTORY_TABLES, refusedChange } from '../refused-changes.ts'
import type { RowCheck } from '../../store/values/row-check.ts'
import type { Events } from '../../events.ts'
import type { Leader } from './leader.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface RetentionParts extends LoopServiceParts {
  readonly store: RetentionStore
  readonly batches: Pick<BatchStore, 'forget'>
  /**
   * Tables whose old rows are deleted: dead and spilled rows of sinks, the audit, and messages to people. `keepMs` 0: they are never
   * deleted.
   */
  readonly aged?: readonly { readonly keepMs: number; readonly store: AgedRows }[]
  /** Deletes expired browser sessions. */
  readonly sessions?: { prune(): Promise<boolean> }
  readonly rows: Pick<RowCheck, 'step'>
  /** Deletes expired cache entries. */
  readonly caches?: { prune(): Promise<boolean> }
  /** Deletes old events of the fleet. A node with readers of events also does this, and more often. */
  readonly live?: { prune(): Promise<boolean> }
  readonly leader: Pick<Leader, 'isLeader' | 'onLead'>
  readonly history: Pick<Settings['history'], 'keepSucceededMs' | 'keepFailedMs' | 'keepRuns'>
  readonly events: Events
}

interface AgedRows {
  /**
   * Deletes some rows that are at least this old.
   *
   * @returns whether there may be more
   */
  prune(olderThanMs: number): Promise<boolean>
}

/** How long to wait after a pass that has deleted runs, or many expired cache entries. */
const PASS_MS = 60_000
/** How long to wait after any other pass. */
const IDLE_PASS_MS = 15 * 60_000
/**
 * A walk reads the whole history, which is expensive. It is repeated early only if the number of new runs is larger than this share of the
 * runs in the last walk.
 */
const MIN_GROWTH = 0.1
const NEVER = { newest: 0, looked: 0, at: -Infinity }
/** How long to wait between two steps of a pass, because others also need the database. */
const STEP_MS = 50
/** The maximum number of steps per pass that delete old rows of one table. */
const MAX_AGED_STEPS = 20
/**
 * The maximum number of steps per pass that delete expired cache entries, and of those that delete old events. The rest waits for the next
 * pass.
 */
const MAX_CACHE_STEPS = 600
/**
 * How long to wait between two steps that search for unreadable rows. A pass has about 15 such steps, and the first pass runs while the app
 * is still busy with its start.
 */
const CHECK_STEP_MS = 250

/**
 * Deletes old runs, and other old or expired rows, in small steps on the leader. Also searches for unreadable rows in small steps; see
 * `RowCheck`.
 */
export class Retention extends LoopService {
  readonly #parts: RetentionParts
  // How many runs the current pass has deleted.
  #deleted = 0
  #isRefusalTold = false
  #isExpiring = false
  #beyond: BeyondWalk | undefined
  /** The last walk over all runs: which run was the newest, how many runs there were, and when it began. */
  #lastWalk = NEVER
  #checkAt = 0
  #passAt = 0
  #walks: { readonly states: readonly EndedState[]; readonly olderThanMs: number; after: number }[] = []

  constructor(parts: RetentionParts) {
    super('retention', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    if (!this.#parts.leader.isLeader) {
      this.#walks = []
      this.#beyond = undefined
      this.#lastWalk = NEVER
      return PASS_MS
    }
    const checkInMs = await this.#check()
    return Math.min(checkInMs, await this.#delete())
  }

  /** Checks some rows for unreadable values. Returns the milliseconds until the next step. */
  async #check(): Promise<number> {
    const leftMs = this.#checkAt - this.#parts.clock.monotonic()
    if (leftMs > 0) return leftMs
    const pauseMs = (await this.#parts.rows.step()) ? CHECK_STEP_MS : PASS_MS
    this.#checkAt = this.#parts.clock.monotonic() + pauseMs
    return pauseMs
  }

  async #delete(): Promise<number> {
    const waitMs = this.#passAt - this.#parts.clock.monotonic()
    if (waitMs > 0) return waitMs
    const nextMs = await this.#deleteStep()
    this.#passAt = this.#parts.clock.monotonic() + nextMs
    return nextMs
  }

  async #deleteStep(): Promise<number> {
    if (this.#beyond) {
      await this.#goBeyond(this.#beyond)
      return this.#nextMs
    }
    const walk = this.#walks[0]
    if (!walk) return this.#beginPass()
    const { count, next, refused } = await this.#parts.store.step(walk, walk.after)
    this.#tell(count, refused)
    if (next === undefined) this.#walks.shift()
    else walk.after = next
    return this.#nextMs
  }

  async #goBeyond(from?: BeyondWalk): Promise<void> {
    const { count, looked, walk, refused } = await this.#parts.store.beyond(this.#parts.history.keepRuns, from)
    this.#lastWalk = { ...this.#lastWalk, looked: this.#lastWalk.looked + looked }
    this.#tell(count, refused)
    this.#beyond = walk
  }

  get #nextMs(): number {
    return this.#beyond || this.#walks.length > 0 ? STEP_MS : this.#pauseMs
  }

  get #pauseMs(): number {
    return this.#deleted > 0 || this.#isExpiring ? PASS_MS : IDLE_PASS_MS
  }

  async #beginPass(): Promise<number> {
    const { keepSucceededMs, keepFailedMs, keepRuns } = this.#parts.history
    this.#deleted = 0
    this.#isRefusalTold = false
    await this.#parts.store.forgetRates()
    await this.#forgetAged()
    this.#isExpiring = await this.#forgetInSteps(this.#parts.caches)
    await this.#forgetInSteps(this.#parts.live)
    if (keepSucceededMs > 0 && keepFailedMs > 0)
      await this.#parts.batches.forget(Math.max(keepSucceededMs, keepFailedMs))
    if (keepRuns > 0 && (await this.#isWalkWorthIt())) await this.#goBeyond()
    if (keepSucceededMs > 0)
      this.#walks.push({ states: ['succeeded', 'skipped'], olderThanMs: keepSucceededMs, after: 0 })
    if (keepFailedMs > 0) this.#walks.push({ states: ['failed', 'cancelled'], olderThanMs: keepFailedMs, after: 0 })
    return this.#nextMs
  }

  /**
   * Deletes expired entries of a store in steps.
   *
   * @returns whether one step was not enough
   */
  async #forgetInSteps(store: { prune(): Promise<boolean> } | undefined): Promise<boolean> {
    const { leader, clock } = this.#parts
    for (let steps = 0; steps < MAX_CACHE_STEPS; steps++) {
      if (!leader.isLeader || !(await store?.prune())) return steps > 0
      await clock.sleep(STEP_MS)
    }
    return true
  }

  async #forgetAged(): Promise<void> {
    const { aged = [], sessions, clock } = this.#parts
    const prunes = aged
      .filter(({ keepMs }) => keepMs > 0)
      .map(
        ({ keepMs, store }) =>
          () =>
            store.prune(keepMs),
      )
    if (sessions) prunes.push(() => sessions.prune())
    for (const prune of prunes) {
      for (let steps = 0; steps < MAX_AGED_STEPS && (await prune()); steps++) await clock.sleep(STEP_MS)
    }
  }

  /** Whether another walk, which reads the whole history, is worthwhile: there are enough new runs, or the last walk began long ago. */
  async #isWalkWorthIt(): Promise<boolean> {
    const newest = await this.#parts.store.newestRun()
    const now = this.#parts.clock.monotonic()
    const last = this.#lastWalk
    if (now - last.at < IDLE_PASS_MS && newest - last.newest <= last.looked * MIN_GROWTH) return false
    this.#lastWalk = { newest, looked: 0, at: now }
    return true
  }

  /** Reports runs that can't be deleted, once per pass. */
  #tell(count: number, refused: readonly Refused[]): void {
    const error = this.#isRefusalTold ? undefined : refusedChange('deleted', refused, HISTORY_TABLES)
    if (error) {
      this.#isRefusalTold = true
      this.#parts.events.emit('loop.failed', { loop: this.name, error, retryInMs: IDLE_PASS_MS })
    }
    this.#deleted += count
    if (count > 0) this.#parts.events.emit('runs.deleted', { count })
  }
}
