import { isPikoError } from '../errors.ts'
import { forbidsRetry, retryTimingOf } from '../run/retry-errors.ts'
import {
  budgetOf,
  ERROR_CLASS,
  type ItemBudget,
  itemDelayMs,
  SETUP_CLASS,
  SINK_CLASS,
  TIMEOUT_CLASS,
} from './budget.ts'
import { itemFaultOf } from './item-error.ts'
import { isSetupError } from './setup-error.ts'

/** The maximum number of error classes to count for one item. Errors of further classes count as class `error`. */
const MAX_CLASSES = 50

/** What follows from the failure of an item. */
export interface ItemFailure {
  /** The class under which the failure is counted. */
  readonly class: string
  /** Milliseconds until the next try; undefined: the item is dead. */
  readonly delayMs: number | undefined
  /** How many tries have failed, by class, including this one. */
  readonly tries: Readonly<Record<string, number>>
  /** Whether the circuit breaker of the lane counts the failure. */
  readonly breaker: boolean
  /** How long the whole lane waits, in milliseconds; undefined: it does not wait. */
  readonly laneWaitMs: number | undefined
}

/**
 * Decides what follows from the failure of an item. Pure.
 *
 * @param tries how many earlier tries failed, by class
 * @param random a random number in [0, 1)
 * @param now the current time in milliseconds since 1970, for an error that asks for a retry at an instant
 */
export function settleFailure(
  error: Error,
  tries: Readonly<Record<string, number>>,
  budgets: ReadonlyMap<string, ItemBudget>,
  random: number,
  now: number,
): ItemFailure {
  const fault = itemFaultOf(error)
  const given = fault?.class ?? classOf(error)
  // Without this limit, an item with a new error class each time would be retried forever.
  const isOneTooMany = !Object.hasOwn(tries, given) && Object.keys(tries).length >= MAX_CLASSES
  const name = isOneTooMany ? ERROR_CLASS : given
  const budget = budgetOf(budgets, name)
  const used = Object.hasOwn(tries, name) ? (tries[name] ?? 0) : 0
  const isOfSetup = fault === undefined && name === SETUP_CLASS && !budgets.has(SETUP_CLASS)
  const isPermanent = isOfSetup || (fault === undefined && forbidsRetry(error))
  const backOffMs = isPermanent ? undefined : itemDelayMs(budget, used, random)
  const afterMs = fault?.retryAfterMs ?? requestedMs(error, now)
  const delayMs = backOffMs === undefined ? undefined : (afterMs ?? backOffMs)
  return {
    class: name,
    delayMs,
    tries: { ...tries, [name]: used + 1 },
    breaker: fault?.breaker ?? budget.breaker,
    // The lane waits even if the item is dead.
    laneWaitMs: fault?.laneWaits ? (afterMs ?? backOffMs ?? budget.baseMs) : undefined,
  }
}

function classOf(error: Error): string {
  if (isPikoError(error, 'RUN_TIMEOUT')) return TIMEOUT_CLASS
  if (isSetupError(error)) return SETUP_CLASS
  return isPikoError(error, 'SINK_FAILED') ? SINK_CLASS : ERROR_CLASS
}

function requestedMs(error: Error, now: number): number | undefined {
  const timing = retryTimingOf(error)
  if (!timing) return undefined
  return 'at' in timing ? Math.max(0, timing.at.getTime() - now) : timing.afterMs
}
