import { messageOf } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { formatMs } from '../time/duration.ts'
import type { LoanOutcome } from './acquired.ts'
import type { Arbiter, Lane, Wants } from './arbiter.ts'
import type { BorrowPlan, Source } from './borrow-plan.ts'
import { KeptLoans, type Left } from './kept-loans.ts'
import type { Lender } from './lender.ts'
import { Loan } from './loan.ts'
import { ResourceLost, throwAll } from './resource-errors.ts'
import type { Borrower, ServiceClass } from './resource.ts'

export interface BorrowingParts {
  readonly plan: BorrowPlan
  /** The lender of each value of the plan. */
  readonly lenders: readonly Lender[]
  readonly borrower: Borrower
  readonly arbiter: Arbiter
  readonly kept: KeptLoans
  readonly service: (wanted: ServiceClass) => unknown
  /** Called for each resource when the attempt has its slots. */
  readonly onGranted: (lender: Lender) => void
}

type Values = Readonly<Record<string, unknown>>

const NOTHING: Values = Object.freeze({})

/** Borrows for one attempt: waits for all slots, takes the values in order, and gives them back in reverse order. */
export class Borrowing {
  readonly #parts: BorrowingParts
  readonly #borrower: Borrower
  /** The signal of the attempt's time limit for borrowing; undefined without such a limit. */
  readonly #limit: LinkedSignal | undefined
  readonly #timeouts: readonly (() => void)[]
  /** The borrowed values, by their index in the plan. */
  readonly #loans = new Map<number, Loan>()

  constructor(parts: BorrowingParts) {
    this.#parts = parts
    const { borrower, lenders } = parts
    const limited = [...new Set(lenders)].filter(({ timeouts }) => timeouts)
    this.#limit = limited.length > 0 ? new LinkedSignal(borrower.signal) : undefined
    this.#borrower = this.#limit ? { ...borrower, signal: this.#limit.signal } : borrower
    this.#timeouts = limited.map((lender) => lender.timeouts?.add(() => this.#expire(lender)) ?? (() => {}))
  }

  /**
   * Takes all values. If a resource is lost, gives back the values that have already been taken, and waits until the resource can be used
   * again.
   *
   * @throws PikoError `RESOURCE_FAILED`, `RESOURCE_TIMEOUT`, `STOPPED`, and the reason of the borrower's signal
   */
  async take(): Promise<Values> {
    const { arbiter, plan, onGranted, lenders } = this.#parts
    try {
      // The ticket must be taken before any await, so that runs keep their order. Only a retry with kept values may wait first.
      const before = this.#parts.kept.claim(this.#parts.borrower.runId)
      if (before) await this.#reuse(before)
      const places = plan.values.flatMap((_value, place) => (this.#loans.has(place) ? [] : place))
      const ticket = arbiter.ticket(this.#wants(places))
      for (let isFirst = true; ; isFirst = false) {
        await arbiter.take(ticket, this.#borrower.signal)
        if (isFirst) for (const lender of new Set(lenders)) onGranted(lender)
        if (await this.#takeValues(places)) return this.#valuesOf(plan.names)
      }
    } catch (thrown) {
      const error = toError(this.#borrower.signal.aborted ? this.#borrower.signal.reason : thrown)
      this.#log(await this.#return({ ok: false, error }))
      this.#limit?.release()
      throw error
    } finally {
      for (const settled of this.#timeouts) settled()
    }
  }

  /**
   * Gives back all values in reverse order. Continues if some fail.
   *
   * @throws PikoError `RESOURCE_FAILED`
   */
  async release(outcome: LoanOutcome): Promise<void> {
    const failures = await this.#return(outcome)
    this.#limit?.release()
    throwAll(failures)
  }

  /** Reuses the values that an earlier attempt of the run has left, unless their instance was replaced. */
  async #reuse(before: Left): Promise<void> {
    if ([...before.loans.values()].every(({ isCurrent }) => isCurrent)) {
      for (const [place, loan] of before.loans) this.#loans.set(place, loan)
    } else await this.#parts.kept.giveBack(before)
  }

  #wants(places: readonly number[]): Wants {
    const counts = new Map<Lane, number>()
    for (const place of places) {
      const { lane } = this.#lender(place)
      counts.set(lane, (counts.get(lane) ?? 0) + 1)
    }
    return [...counts].map(([lane, count]) => ({ lane, count }))
  }

  /** Takes the values in order. @returns false if a resource is lost; all taken values have then been given back */
  async #takeValues(places: readonly number[]): Promise<boolean> {
    const { arbiter, plan } = this.#parts
    for (const place of places) {
      const lender = this.#lender(place)
      const isKept = plan.values[place]?.isKept ?? false
      this.#loans.set(place, new Loan(lender, this.#borrower, { isKept, free: () => arbiter.release(lender.lane, 1) }))
    }
    try {
      for (const place of places) {
        const { needs = [] } = plan.values[place] ?? {}
        await this.#loans.get(place)?.take(this.#valuesOf(needs))
      }
      return true
    } catch (thrown) {
      if (!(thrown instanceof ResourceLost) || this.#borrower.signal.aborted) throw thrown
      // While the run is waiting, it must not hold any values.
      const loans = places.map((place) => [place, this.#loans.get(place)] as const).reverse()
      for (const [place, loan] of loans) {
        this.#loans.delete(place)
        await loan?.giveBack({ ok: false, error: thrown }).catch((error: unknown) => this.#log([toError(error)]))
      }
      return false
    }
  }

  async #return(outcome: LoanOutcome): Promise<Error[]> {
    const { kept, borrower } = this.#parts
    const failures: Error[] = []
    const forRetry: [number, Loan][] = []
    for (const [place, loan] of [...this.#loans].sort(([a], [b]) => b - a)) {
      const [first] = failures
      // An outer transaction must not commit if an inner one has failed.
      const own: LoanOutcome = outcome.ok && first ? { ok: false, error: first } : outcome
      if (!own.ok && loan.isKept && KeptLoans.mayKeep(own.error)) forRetry.unshift([place, loan])
      else await loan.giveBack(own).catch((error: unknown) => failures.push(toError(error)))
    }
    this.#loans.clear()
    const error = outcome.ok ? failures[0] : outcome.error
    if (forRetry.length > 0 && error) kept.keep(borrower.runId, { loans: new Map(forRetry), error, log: borrower.log })
    return failures
  }

  #valuesOf(names: readonly (readonly [key: string, source: Source])[]): Values {
    if (names.length === 0) return NOTHING
    const { service } = this.#parts
    const valueOf = (source: Source): unknown =>
      typeof source === 'number' ? this.#loans.get(source)?.value : service(source)
    return Object.freeze(Object.fromEntries(names.map(([key, source]) => [key, valueOf(source)])))
  }

  #lender(place: number): Lender {
    const lender = this.#parts.lenders[place]
    if (!lender) throw new RangeError(`the plan has no value ${place}`)
    return lender
  }

  #log(failures: readonly Error[]): void {
    for (const error of failures) this.#parts.borrower.log.error({ err: error }, messageOf(error))
  }

  #expire(lender: Lender): void {
    const { runId, jobId } = this.#parts.borrower
    const { name, acquireTimeoutMs } = lender.node.options
    const pools = [...new Set(this.#parts.lenders)].filter(
      (one) => one === lender || one.lane.size !== Infinity || one.state.error !== undefined,
    )
    const all = [lender, ...pools.filter((one) => one !== lender)].map(poolText).join('; ')
    this.#limit?.abort(
      new PikoError(
        'RESOURCE_TIMEOUT',
        `run ${runId} of job "${jobId}" did not get resource ${name} within its acquireTimeout of ${formatMs(acquireTimeoutMs)}: ${all}. ` +
          'Raise its size, lower the concurrency of the jobs that borrow it, hold it for a shorter time, or set a longer acquireTimeout',
        { details: { resource: name, acquireTimeoutMs, runId, jobId, pools: pools.map(poolFacts) } },
      ),
    )
  }
}

function poolFacts({ name, lane: { size, active, waiting }, state: { state, error } }: Lender) {
  return {
    ...{ name, size: size === Infinity ? null : size, borrowed: active, waiting, state },
    ...(error !== undefined && { error }),
  }
}

function poolText(lender: Lender): string {
  const { name, size, borrowed, waiting, error } = poolFacts(lender)
  const lost = error === undefined ? '' : `, lost (${error})`
  return `${name} has size ${size ?? 'unlimited'}, ${borrowed} borrowed, ${waiting} waiting${lost}`
}
