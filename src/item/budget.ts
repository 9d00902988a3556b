import type { Duration } from '../time/duration.ts'

/** How an item is retried after errors of one class. */
export interface ItemRetrySpec {
  /** The maximum number of retries after errors of this class. After one more error, the item is dead. */
  readonly limit: number
  /** The delay before the first retry. It doubles with each further retry. Default `'1s'`. */
  readonly base?: Duration
  /** The maximum delay. Default `'1m'`. */
  readonly max?: Duration
  /** Whether the lane's circuit breaker counts errors of this class. Default false. */
  readonly breaker?: boolean
  /**
   * Whether a checkpoint gives the item all its retries of this class again, because the item has made progress. Default true. In a crawl,
   * false for `parse`, `sink` and `setup`.
   */
  readonly renew?: boolean
}

/** {@link ItemRetrySpec} with all defaults filled in. */
export interface ItemBudget {
  readonly limit: number
  readonly baseMs: number
  readonly maxMs: number
  readonly breaker: boolean
  readonly renew: boolean
}

/** The class of an error from the item's function that is not an `ItemError`. */
export const ERROR_CLASS = 'error'
/** The error class of an item that exceeded its timeout. */
export const TIMEOUT_CLASS = 'timeout'
/** The class of the error `SINK_FAILED`, for example if the item's rows could not be delivered to a sink. */
export const SINK_CLASS = 'sink'
/** The class of an error in the setup, such as a missing package or table. No retry can correct it. */
export const SETUP_CLASS = 'setup'
/** The name in `retry` for all classes without an entry of their own, except `sink`, which has its own default. */
const ANY_CLASS = '*'

/** The maximum length of a class's name, in characters. */
export const MAX_CLASS = 64
/** The delays of a budget without `base` and `max`. */
export const RETRY_BASE_MS = 1_000
export const RETRY_MAX_MS = 60_000
const OTHERS: ItemBudget = { limit: 3, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, breaker: false, renew: true }
const BUDGETS: ReadonlyMap<string, ItemBudget> = new Map([[SINK_CLASS, { ...OTHERS, limit: 5 }]])

export function budgetOf(budgets: ReadonlyMap<string, ItemBudget>, name: string): ItemBudget {
  return budgets.get(name) ?? BUDGETS.get(name) ?? budgets.get(ANY_CLASS) ?? OTHERS
}

/**
 * Returns the milliseconds until the next try. Undefined: there are no retries of this class left, so the item is dead.
 *
 * @param tries how many errors of the class there were before this one
 * @param random a random number in [0, 1); the result is between half of the delay and the full delay
 */
export function itemDelayMs(budget: ItemBudget, tries: number, random: number): number | undefined {
  if (tries >= budget.limit) return undefined
  const whole = Math.min(budget.maxMs, budget.baseMs * 2 ** Math.min(tries, 60))
  return Math.round(whole / 2 + (whole / 2) * random)
}

/** Returns the tries that still count after an attempt that has stored a checkpoint. Pure. */
export function renewedTries(
  tries: Readonly<Record<string, number>>,
  budgets: ReadonlyMap<string, ItemBudget>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(tries).filter(([name]) => !budgetOf(budgets, name).renew))
}
