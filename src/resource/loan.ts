import { messageOf } from '../errors-read.ts'
import { toError } from '../errors.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { onAbort } from '../signals/on-abort.ts'
import { type Acquired, acquire, finish, type LoanOutcome } from './acquired.ts'
import type { Generation } from './generation.ts'
import type { Lender } from './lender.ts'
import { failed, ResourceLost } from './resource-errors.ts'
import type { Borrower } from './resource.ts'

/**
 * One slot of one resource, and the value for this slot. A loan runs the resource's generator to its only `yield`, and later to its end.
 * Then the loan frees the slot.
 *
 * `held` → `take()` → `taking` → `taken` → `giveBack()` → `over`. If the loan is aborted while `taking`, a value that comes late is given
 * back immediately, and only then is the slot freed.
 */
export class Loan {
  readonly lender: Lender
  readonly #borrower: Borrower
  readonly #free: () => void
  /** The signal for a value that may be kept after the attempt; undefined for any other value. */
  readonly #life: LinkedSignal | undefined
  #state: 'held' | 'taking' | 'taken' | 'over' = 'held'
  #generation: Generation | undefined
  #acquired: Acquired | undefined
  #value: unknown

  /**
   * Starts with an acquired slot.
   *
   * @param options.isKept whether the value may be kept after the attempt
   * @param options.free frees the slot
   */
  constructor(
    lender: Lender,
    borrower: Borrower,
    { isKept, free }: { readonly isKept: boolean; readonly free: () => void },
  ) {
    this.lender = lender
    this.#borrower = borrower
    this.#free = free
    if (isKept) this.#life = new LinkedSignal(borrower.signal)
  }

  /** Whether the loan has a value that may be kept for the retry of a failed attempt. */
  get isKept(): boolean {
    return this.#life !== undefined && this.#state === 'taken'
  }

  /** Whether the instance of its value still lends values to new attempts. */
  get isCurrent(): boolean {
    return this.#generation?.isRetired === false
  }

  /** The borrowed value; undefined until it is taken. */
  get value(): unknown {
    return this.#value
  }

  /**
   * Acquires and returns the value for this slot. Opens the resource if necessary.
   *
   * @param resources the resources that this one needs, by name
   * @throws PikoError `RESOURCE_FAILED`, ResourceLost
   * @throws the reason of the borrower's signal if it aborts first
   */
  async take(resources: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { signal } = this.#borrower
    if (signal.aborted) throw toError(signal.reason)
    this.#state = 'taking'
    return await new Promise((resolve, reject) => {
      let left: Error | undefined
      const stay = onAbort(signal, () => reject((left = toError(signal.reason))))
      this.#begin(resources).then(
        (value) => {
          stay()
          if (left) return void this.#returnLate(left)
          // From now on, the value may exist longer than the attempt.
          this.#life?.release()
          this.#state = 'taken'
          this.#value = value
          resolve(value)
        },
        (error: unknown) => {
          stay()
          reject(toError(error))
        },
      )
    })
  }

  /**
   * Continues the generator until it ends: with `next()` after a success, with `throw(error)` after a failure. A loan that has not begun to
   * take its value only frees its slot. Has no effect if the loan is over or still taking its value.
   *
   * @throws PikoError `RESOURCE_FAILED` if the generator throws another error
   */
  async giveBack(outcome: LoanOutcome): Promise<void> {
    if (this.#state === 'held') this.#end()
    else if (this.#state === 'taken') await this.#finish(outcome)
  }

  async #begin(resources: Readonly<Record<string, unknown>>): Promise<unknown> {
    const generation = await this.#hold()
    this.#generation = generation
    if (this.lender.isShared) return generation.value
    const signal = this.#life?.signal ?? this.#borrower.signal
    try {
      this.#acquired = await acquire(generation.resource, { ...this.#borrower, signal, resources })
      return this.#acquired.value
    } catch (error) {
      this.#end()
      if (!signal.aborted && (await this.lender.suspect(generation)))
        throw new ResourceLost(this.lender.name, toError(error))
      throw failed(this.lender.name, 'could not be acquired', error)
    }
  }

  async #hold(): Promise<Generation> {
    try {
      return await this.lender.hold()
    } catch (error) {
      this.#end()
      throw error
    }
  }

  async #returnLate(reason: Error): Promise<void> {
    try {
      await this.#finish({ ok: false, error: reason })
    } catch (error) {
      this.#borrower.log.error({ err: error, resource: this.lender.name }, messageOf(error))
    }
  }

  async #finish(outcome: LoanOutcome): Promise<void> {
    this.#state = 'over'
    if (!outcome.ok) this.#life?.abort(outcome.error)
    const generation = this.#generation
    try {
      if (this.#acquired) await finish(this.#acquired, outcome)
    } catch (error) {
      // The resource may be unusable now; then the next runs should wait.
      if (generation) void this.lender.suspect(generation)
      throw failed(this.lender.name, 'failed when it was returned', error)
    } finally {
      this.#end()
    }
  }

  #end(): void {
    this.#state = 'over'
    this.#life?.release()
    this.#generation?.release()
    this.#generation = undefined
    this.#free()
  }
}
