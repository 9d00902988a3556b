import { describe } from '../errors.ts'
import { anAbortSignal, expecting, isList, type OptionCheck, type OptionChecks, wholeNumber } from '../options.ts'
import { readCall } from './call-checks.ts'
import { type Call, called } from './called.ts'
import { settled } from './fan-out.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'

export interface FirstOptions {
  /** The number of functions that must succeed. With this option, the result is a list. */
  readonly count?: number
  /** Aborting this signal ends all calls early. */
  readonly signal?: AbortSignal
}

const someFunctions: OptionCheck = (value) => {
  const problem = expecting('a list of functions', isList)(value)
  if (problem !== undefined) return problem
  const fns = value as readonly unknown[]
  if (fns.length === 0) return 'is []; expected at least one function'
  const index = fns.findIndex((fn) => typeof fn !== 'function')
  return index < 0 ? undefined : `[${index}] is ${describe(fns[index])}; expected a function`
}

const formFor = (fns: unknown) => ({
  call: 'first',
  checks: {
    count: wholeNumber(1, isList(fns) ? Math.max(1, fns.length) : undefined),
    signal: anAbortSignal,
  } satisfies OptionChecks<FirstOptions>,
  example: '{ count: 1 }',
})

/**
 * Calls all functions at the same time and returns the result of the first that succeeds. With `count`, returns the results of the first
 * `count`, in the order in which they succeed. Before it settles, it aborts the signals of the others and waits until they have ended.
 *
 * @throws AggregateError with the errors, in the order of `fns`, if too many have failed
 * @throws the reason of `options.signal` when it has aborted and the functions have ended
 * @throws PikoError `USAGE`
 */
export function first<T>(fns: readonly Call<T>[], options?: FirstOptions & { readonly count?: undefined }): Promise<T>
export function first<T>(fns: readonly Call<T>[], options: FirstOptions & { readonly count: number }): Promise<T[]>
export function first<T>(fns: readonly Call<T>[], options?: FirstOptions): Promise<T | T[]>
export async function first<T>(fns: readonly Call<T>[], options: FirstOptions = {}): Promise<T | T[]> {
  const { count, signal } = readCall<FirstOptions>(formFor(fns), { fns: [fns, someFunctions] }, options)
  signal?.throwIfAborted()
  const race = new Race<T>(fns, count ?? 1, signal)
  const values = await race.run()
  return count === undefined ? (values[0] as T) : values
}

class Race<T> {
  readonly #fns: readonly Call<T>[]
  readonly #count: number
  readonly #parent: AbortSignal | undefined
  /**
   * The signals of the calls that have not ended. The signal of a call that succeeded is not aborted, because its result may still need it,
   * for example to read a body.
   */
  readonly #running = new Set<LinkedSignal>()
  readonly #values: T[] = []
  readonly #errors = new Map<number, unknown>()
  #isDecided = false

  constructor(fns: readonly Call<T>[], count: number, parent: AbortSignal | undefined) {
    this.#fns = [...fns]
    this.#count = count
    this.#parent = parent
  }

  async run(): Promise<T[]> {
    // Waits for all calls. When enough have succeeded or too many failed, the signals of the others abort.
    await Promise.all(this.#fns.map((fn, index) => this.#call(fn, index)))
    if (this.#values.length === this.#count) return this.#values
    if (!this.#isDecided) this.#parent?.throwIfAborted()
    const errors = [...this.#errors].sort(([a], [b]) => a - b).map(([, error]) => error)
    throw new AggregateError(
      errors,
      `${errors.length} of ${this.#fns.length} functions failed; ${this.#count} had to succeed`,
    )
  }

  async #call(fn: Call<T>, index: number): Promise<void> {
    const linked = new LinkedSignal(this.#parent)
    this.#running.add(linked)
    const end = await settled(() => called(fn, linked.signal))
    linked.release()
    this.#running.delete(linked)
    if (this.#isDecided || linked.signal.aborted) return
    if (end.status === 'fulfilled') this.#values.push(end.value)
    else this.#errors.set(index, end.reason)
    this.#isDecided = this.#values.length === this.#count || this.#errors.size > this.#fns.length - this.#count
    if (this.#isDecided) for (const other of this.#running) other.abort()
  }
}
