import { isPikoError } from '../errors.ts'
import { forbidsRetry, retryTimingOf } from '../run/retry-errors.ts'
import { budgetOf, ERROR_CLASS, type ItemBudget, itemDelayMs, SINK_CLASS, TIMEOUT_CLASS } from './budget.ts'
import { itemFaultOf } from './item-error.ts'

/** The most classes of errors whose tries are counted for one item. The errors of further ones count as `error`. */
const MAX_CLASSES = 50

/** What follows from a failed try of an item. */
export interface ItemFailure {
  /** The class of the error, whose budget it uses. */
  readonly class: string
  /** Milliseconds until the next try; undefined: the item is dead. */
  readonly delayMs: number | undefined
  /** The tries that each class has used, with this one. */
  readonly tries: Readonly<Record<string, number>>
  /** Whether the breaker of the lane counts it. */
  readonly breaker: boolean
  /** The whole lane waits this long. */
  readonly laneWaitMs: number | undefined
}

/**
 * Decides what follows from a failed try. Pure.
 *
 * @param tries how many tries each class has used before
 * @param random a number in [0, 1)
 * @param now milliseconds since the epoch, for an error that names an instant
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
  // An error that puts changing texts into its class would never use up a budget.
  const isOneTooMany = !Object.hasOwn(tries, given) && Object.keys(tries).length >= MAX_CLASSES
  const name = isOneTooMany ? ERROR_CLASS : given
  const budget = budgetOf(budgets, name)
  const used = Object.hasOwn(tries, name) ? (tries[name] ?? 0) : 0
  const isPermanent = fault === undefined && forbidsRetry(error)
  const backOffMs = isPermanent ? undefined : itemDelayMs(budget, used, random)
  const afterMs = fault?.retryAfterMs ?? requestedMs(error, now)
  const delayMs = backOffMs === undefined ? undefined : (afterMs ?? backOffMs)
  return {
    class: name,
    delayMs,
    tries: { ...tries, [name]: used + 1 },
    breaker: fault?.breaker ?? budget.breaker,
    // A dead item still tells that its lane should wait.
    laneWaitMs: fault?.laneWaits ? (afterMs ?? backOffMs ?? budget.baseMs) : undefined,
  }
}

function classOf(error: Error): string {
  if (isPikoError(error, 'RUN_TIMEOUT')) return TIMEOUT_CLASS
  return isPikoError(error, 'SINK_FAILED') ? SINK_CLASS : ERROR_CLASS
}

function requestedMs(error: Error, now: number): number | undefined {
  const timing = retryTimingOf(error)
  if (!timing) return undefined
  return 'at' in timing ? Math.max(0, timing.at.getTime() - now) : timing.afterMs
}
