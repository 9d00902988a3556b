import type { Clock } from '../clock.ts'
import { messageOf } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'
import { after } from '../time/after.ts'
import type { CacheLevel } from '../job/cached-value.ts'
import { redactText } from '../run/redact.ts'
import { untilAborted } from '../signals/until-aborted.ts'
import { formatMs } from '../time/duration.ts'

interface WatchedParts {
  readonly name: string
  readonly level: CacheLevel
  readonly clock: Clock
  readonly degraded: (error: Error) => void
  readonly recovered: (outageMs: number) => void
}

/** A call to the level fails if one of its steps takes longer than this. Most calls have only one step. */
const MAX_STEP_MS = 5_000

/** A call to the level. If it has many steps, it calls `step` after each of them. */
type LevelCall<T> = (level: CacheLevel, step: () => void) => Promise<T>
/** After a failure, no call is made for this time. Requests then do not wait for a level that does not respond. */
const PAUSE_MS = 1_000

/** Wraps a shared level that may not respond, and reports its outages. */
export class WatchedLevel {
  readonly #parts: WatchedParts
  #error: Error | undefined
  #since = 0
  #retryAt = 0

  constructor(parts: WatchedParts) {
    this.#parts = parts
  }

  get isDegraded(): boolean {
    return this.#error !== undefined
  }

  /** Calls the level. Resolves with its result, or with undefined if the call fails, or if another has failed just before. */
  async tried<T>(call: LevelCall<T>): Promise<{ readonly value: T } | undefined> {
    const { clock, level } = this.#parts
    if (this.#error && clock.monotonic() < this.#retryAt) return undefined
    try {
      const value = await inSteps((step) => call(level, step), MAX_STEP_MS)
      this.#works()
      return { value }
    } catch (thrown) {
      this.#fails(toError(thrown))
      return undefined
    }
  }

  /**
   * Calls the level, for callers that can't continue without its result.
   *
   * @throws PikoError `CACHE_UNAVAILABLE` if {@link tried} has no result
   */
  async needed<T>(call: LevelCall<T>): Promise<T> {
    const result = await this.tried(call)
    if (result) return result.value
    const { name } = this.#parts
    throw new PikoError(
      'CACHE_UNAVAILABLE',
      `cache "${name}" can't be changed: its shared level does not answer: ${redactText(messageOf(this.#error))}; repeat the call when it does`,
      { cause: this.#error, details: { cache: name } },
    )
  }

  #fails(error: Error): void {
    const { clock, degraded } = this.#parts
    const now = clock.monotonic()
    this.#retryAt = now + PAUSE_MS
    const isNew = this.#error === undefined
    this.#error = error
    if (!isNew) return
    this.#since = now
    degraded(error)
  }

  #works(): void {
    if (!this.#error) return
    this.#error = undefined
    this.#parts.recovered(this.#parts.clock.monotonic() - this.#since)
  }
}

/**
 * Calls `fn` with a time limit for each of its steps. After the limit, the next `step` throws, so that `fn` does not continue unnoticed.
 */
async function inSteps<T>(fn: (step: () => void) => Promise<T>, ms: number): Promise<T> {
  const late = new AbortController()
  const end = (): void => late.abort(new PikoError('TIMEOUT', `the level did not respond within ${formatMs(ms)}`))
  let cancel = after(ms, end)
  const step = (): void => {
    late.signal.throwIfAborted()
    cancel()
    cancel = after(ms, end)
  }
  try {
    return await untilAborted(fn(step), late.signal)
  } finally {
    cancel()
  }
}
