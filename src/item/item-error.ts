import { checkedCall } from '../call-options.ts'
import { chainOf, describe, isObject, propertyOf } from '../errors-read.ts'
import { anything, aText, flag, oneOf, type OptionChecks } from '../options.ts'
import { ERROR_CLASS, MAX_CLASS } from './budget.ts'
import { cappedDurationMs, type Duration, MAX_STORED_MS } from '../time/duration.ts'

/** A symbol instead of `instanceof`, because a job's module may load another copy of this package. */
const ITEM_FAULT = Symbol.for('piko.itemFault')

/** The options of an {@link ItemError}. */
export interface ItemErrorOptions extends ErrorOptions {
  /**
   * The class of the error, such as `'network'`. The kind's option `retry` sets the retries of each class. At most 64 characters are used.
   */
  readonly class: string
  /** When the item is tried again: after a duration, or at an instant. Default: after the delay of the class. */
  readonly retryAfter?: Duration | Date | undefined
  /** With `'wait'`, the whole lane waits as long as the item does, and its rate is halved. Default: only the item waits. */
  readonly lane?: 'wait' | undefined
  /** Whether the circuit breaker of the lane counts this error. Default: the `breaker` option of the class. */
  readonly breaker?: boolean | undefined
}

const CHECKS: OptionChecks<ItemErrorOptions> = {
  class: aText,
  retryAfter: anything,
  lane: oneOf('wait'),
  breaker: flag,
  cause: anything,
}

/** What an error says about the next try of its item. */
export interface ItemFault {
  readonly class: string
  /** Milliseconds until the next try; undefined: the delay of the class. */
  readonly retryAfterMs: number | undefined
  /** Whether the whole lane waits for as long as the item. */
  readonly laneWaits: boolean
  /** Whether the breaker of the lane counts the error; undefined: as for its class. */
  readonly breaker: boolean | undefined
}

/**
 * An error with a class. The function of an item throws it to choose how the item is retried.
 *
 * @example
 * if (status === 429) throw new ItemError('too many requests', { class: 'throttled', retryAfter: '30s', lane: 'wait' })
 */
export class ItemError extends Error {
  readonly [ITEM_FAULT]: ItemFault

  /** @throws PikoError `USAGE` for wrong options, `DURATION_INVALID` */
  constructor(message: string, options: ItemErrorOptions) {
    const checked = checkedCall(`new ItemError(${describe(message)})`, CHECKS, options, ['class'])
    super(message, 'cause' in checked ? { cause: checked.cause } : undefined)
    this.name = 'ItemError'
    this[ITEM_FAULT] = {
      class: checked.class,
      retryAfterMs: afterMs(checked.retryAfter),
      laneWaits: checked.lane === 'wait',
      breaker: checked.breaker,
    }
  }
}

/** Returns what an error, or one of its causes, says about the next try; undefined if none of them is an `ItemError`. */
export function itemFaultOf(error: unknown): ItemFault | undefined {
  for (const link of chainOf(error)) {
    const fault = propertyOf(link, ITEM_FAULT)
    if (!isObject(fault)) continue
    const name = propertyOf(fault, 'class')
    const after = propertyOf(fault, 'retryAfterMs')
    const breaker = propertyOf(fault, 'breaker')
    return {
      class: typeof name === 'string' ? name.slice(0, MAX_CLASS) : ERROR_CLASS,
      retryAfterMs: typeof after === 'number' && after >= 0 ? Math.min(after, MAX_STORED_MS) : undefined,
      laneWaits: propertyOf(fault, 'laneWaits') === true,
      breaker: typeof breaker === 'boolean' ? breaker : undefined,
    }
  }
  return undefined
}

function afterMs(after: Duration | Date | undefined): number | undefined {
  if (after === undefined) return undefined
  if (!(after instanceof Date)) return cappedDurationMs(after, 'retryAfter of an ItemError', MAX_STORED_MS)
  const ms = after.getTime() - new Date().getTime()
  return Number.isNaN(ms) ? undefined : Math.max(0, Math.min(ms, MAX_STORED_MS))
}
