import { type DatabaseTestClock, systemClock, TIME_LIMIT } from '../../clock.ts'
import { clockState, type ManualClock } from '../manual-clock.ts'

/** The maximum time that a stop waits, in milliseconds of real time. */
const CLOSING_MS = 2_000

interface LoopSleep {
  readonly until: number
  readonly wake: () => void
}

/**
 * The loops for whose work an advance of a test's clock waits. All other loops only poll, renew or report. They continue at the end of the
 * advance.
 */
const WORKING = [
  'planner',
  'dispatcher',
  'dependencies',
  'backfills',
  'batches',
  'recovery',
  'item-dispatcher',
  'item-waits',
  'item-sweeper',
] as const

export type WorkingLoop = (typeof WORKING)[number]

/**
 * The clock of one test app. It follows a `ManualClock` and also replaces the database's clock. It knows which loops of the app are
 * sleeping, and until when.
 */
export class AppClock implements DatabaseTestClock {
  readonly movesDatabase = true
  readonly manual: ManualClock
  readonly #loops = new Map<string, LoopSleep>()
  /** The loops that have slept at least once, and those that `expect` has named. */
  readonly #known = new Set<string>()
  readonly #keeps: { readonly keep: (ms: number) => Promise<unknown>; readonly isEach: boolean }[] = []
  readonly #queries: (() => void)[] = []
  readonly #onChange: () => void
  /** While this is true, only `wake` ends the sleeps of loops. */
  isStepping = false
  /** When the next timeout of a run is due, in epoch milliseconds. */
  deadlineAt = Infinity
  #isClosed = false

  /** @param onChange called when a sleep begins and when the clock has advanced */
  constructor(manual: ManualClock, onChange: () => void) {
    this.manual = manual
    this.#onChange = onChange
    clockState(manual).listeners.add(this.#advanced)
  }

  now(): number {
    return this.manual.now()
  }

  monotonic(): number {
    return this.manual.now()
  }

  sleep(ms: number, signal?: AbortSignal, loop?: string): Promise<void> {
    // While the app is stopping, nothing moves its clock, so it sleeps in real time.
    if (this.#isClosed) return systemClock.sleep(Math.min(ms, CLOSING_MS), signal)
    if (loop === undefined || loop === TIME_LIMIT) return this.manual.sleep(ms, signal, loop)
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) {
        resolve()
        return
      }
      const sleep: LoopSleep = {
        until: this.now() + ms,
        wake: () => {
          if (this.#loops.get(loop) === sleep) this.#loops.delete(loop)
          signal?.removeEventListener('abort', sleep.wake)
          resolve()
        },
      }
      this.#loops.set(loop, sleep)
      this.#known.add(loop)
      signal?.addEventListener('abort', sleep.wake, { once: true })
      this.#onChange()
    })
  }

  beforeJump(keep: (ms: number) => Promise<unknown>, isEach = false): void {
    this.#keeps.push({ keep, isEach })
  }

  whenDue(query: () => void): void {
    this.#queries.push(query)
  }

  /** Wakes the loop that claims due runs. */
  claim(): void {
    for (const query of this.#queries) query()
  }

  onDeadline(ms: number | undefined): void {
    this.deadlineAt = ms === undefined ? Infinity : this.now() + ms
    this.#onChange()
  }

  /**
   * Extends the leases of the app, so that they do not expire during jumps.
   *
   * @param ms how long they must last
   * @param isKept whether they were extended before; then only those that may be new are extended
   */
  async keepFor(ms: number, isKept = false): Promise<void> {
    for (const { keep, isEach } of this.#keeps) if (isEach || !isKept) await keep(ms)
  }

  /** Names loops for which an advance waits, even if they have not slept yet. */
  expect(...loops: readonly WorkingLoop[]): void {
    for (const name of loops) this.#known.add(name)
  }

  /** Whether a loop for which an advance waits is working now. */
  get isBusy(): boolean {
    return WORKING.some((name) => this.#known.has(name) && !this.#loops.has(name))
  }

  /** Returns when a loop wants to continue. Undefined if the loop is not sleeping. */
  untilOf(loop: WorkingLoop): number | undefined {
    return this.#loops.get(loop)?.until
  }

  wake(...loops: readonly string[]): void {
    for (const name of loops) this.#loops.get(name)?.wake()
  }

  /** Ends all sleeps that are due. */
  wakeDue(): void {
    for (const { until, wake } of [...this.#loops.values()]) if (until <= this.now()) wake()
  }

  close(): void {
    this.#isClosed = true
    clockState(this.manual).listeners.delete(this.#advanced)
  }

  readonly #advanced = (): void => {
    if (!this.isStepping) this.wakeDue()
    this.#onChange()
  }
}
