import type { Clock } from '../clock.ts'
import { messageOf } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'
import { within } from '../calls/timeout.ts'
import type { CacheLevel } from '../job/cached-value.ts'
import { redactText } from '../run/redact.ts'

interface WatchedParts {
  readonly name: string
  readonly level: CacheLevel
  readonly clock: Clock
  readonly degraded: (error: Error) => void
  readonly recovered: (outageMs: number) => void
}

/** A call that takes longer counts as no answer. */
const MAX_CALL_MS = 5_000
/** After a failure, no call is made for this long, so that requests do not all wait for a level that is away. */
const PAUSE_MS = 1_000

/** A shared level that may be away. */
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

  /** The result of a call; undefined if the level is away. */
  async tried<T>(call: (level: CacheLevel) => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const { clock, level } = this.#parts
    if (this.#error && clock.monotonic() < this.#retryAt) return undefined
    try {
      const value = await within(() => call(level), MAX_CALL_MS, undefined)
      this.#works()
      return { value }
    } catch (thrown) {
      this.#fails(toError(thrown))
      return undefined
    }
  }

  /** @throws PikoError `CACHE_UNAVAILABLE` if the level is away */
  async needed<T>(call: (level: CacheLevel) => Promise<T>): Promise<T> {
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
