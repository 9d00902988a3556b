import { toError } from '../../errors.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { Events } from '../../events.ts'
import type { Clock } from '../../clock.ts'

/** If a failed loop reports nothing for this long after its retry was due, it was probably stopped or replaced. */
const FORGOTTEN_AFTER_MS = 30_000

export interface LoopFailure {
  readonly loop: string
  readonly thrown: unknown
  readonly retryInMs: number
  /** The number of failures in a row. */
  readonly failures: number
  /** What kind of fault the database has, if it is the cause. Default: taken from the error. */
  readonly fault?: ReturnType<typeof databaseFault>
}

/**
 * Loops of a node report here when they fail and when they work again. This shows whether the store is available. An outage begins with the
 * first failure of the kind `outage`, and ends when every loop with such a failure works again. So a server that answers reads but refuses
 * writes counts as unavailable.
 */
export class LoopHealth {
  readonly #parts: { readonly events: Events; readonly clock: Clock }
  /** The loops with a failure of the kind `outage` that have not succeeded again, each with the time by which it should report. */
  readonly #failing = new Map<string, number>()
  #since: number | undefined
  #error: Error | undefined
  #failures = 0

  constructor(parts: { readonly events: Events; readonly clock: Clock }) {
    this.#parts = parts
  }

  /** Why the store is not available; undefined if it is. */
  get outage(): string | undefined {
    if (this.#since === undefined) return undefined
    const seconds = Math.round((this.#parts.clock.monotonic() - this.#since) / 1_000)
    return `unavailable for ${seconds} s: ${this.#error?.message ?? ''}`
  }

  /** Records that a loop has failed and will try again. */
  failed({ loop, thrown, retryInMs, failures, fault = databaseFault(thrown) }: LoopFailure): void {
    const error = toError(thrown)
    if (fault === 'outage') this.#outageOf(loop, error, retryInMs)
    this.#parts.events.emit('loop.failed', { loop, error, retryInMs, fault, failures })
  }

  /** Records that a loop works again after this many failures in a row. */
  recovered(loop: string, failures: number): void {
    this.#worked(loop)
    this.#parts.events.emit('loop.recovered', { loop, failures })
  }

  #outageOf(loop: string, error: Error, retryInMs: number): void {
    const now = this.#parts.clock.monotonic()
    this.#failing.set(loop, now + retryInMs + FORGOTTEN_AFTER_MS)
    this.#failures += 1
    this.#error = error
    if (this.#since !== undefined) return
    this.#since = now
    this.#parts.events.emit('store.outage', { error })
  }

  #worked(loop: string): void {
    const since = this.#since
    if (since === undefined || !this.#failing.delete(loop)) return
    const now = this.#parts.clock.monotonic()
    for (const [other, until] of this.#failing) if (until < now) this.#failing.delete(other)
    if (this.#failing.size > 0) return
    const failures = this.#failures
    this.#since = undefined
    this.#failures = 0
    this.#parts.events.emit('store.recovered', { outageMs: now - since, failures })
  }
}
