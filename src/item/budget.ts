import type { Duration } from '../time/duration.ts'

/** How failures of a class are tried again. */
export interface ItemRetrySpec {
  /** Tries after the first failure of the class. */
  readonly limit: number
  /** Delay before the first retry; it doubles with each further one. Default `'1s'`. */
  readonly base?: Duration
  /** Longest delay. Default `'1m'`. */
  readonly max?: Duration
  /** Whether the breaker of the lane counts failures of this class. Default false. */
  readonly breaker?: boolean
}

export interface ItemBudget {
  readonly limit: number
  readonly baseMs: number
  readonly maxMs: number
  readonly breaker: boolean
}

/** The class of an error of the function that is no `ItemError`. */
export const ERROR_CLASS = 'error'
/** The class of an item that exceeded its timeout. */
export const TIMEOUT_CLASS = 'timeout'
/** The class of an item whose sinks could not be flushed. */
export const SINK_CLASS = 'sink'
/** The budget of every class that a kind does not name. */
const ANY_CLASS = '*'

/** The longest name of a class. */
export const MAX_CLASS = 64
/** The delays of a budget without `base` and `max`. */
export const RETRY_BASE_MS = 1_000
export const RETRY_MAX_MS = 60_000
const OTHERS: ItemBudget = { limit: 3, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, breaker: false }
const BUDGETS: ReadonlyMap<string, ItemBudget> = new Map([[SINK_CLASS, { ...OTHERS, limit: 5 }]])

export function budgetOf(budgets: ReadonlyMap<string, ItemBudget>, name: string): ItemBudget {
  return budgets.get(name) ?? BUDGETS.get(name) ?? budgets.get(ANY_CLASS) ?? OTHERS
}

/**
 * The milliseconds until the next try. Undefined: the class has no tries left, so the item is dead.
 *
 * @param tries how many tries the class has used before this failure
 * @param random a number in [0, 1): the delay is drawn from half to all of it
 */
export function itemDelayMs(budget: ItemBudget, tries: number, random: number): number | undefined {
  if (tries >= budget.limit) return undefined
  const whole = Math.min(budget.maxMs, budget.baseMs * 2 ** Math.min(tries, 60))
  return Math.round(whole / 2 + (whole / 2) * random)
}
