import { chainOf, isObject, propertyOf } from '../errors-read.ts'
import { ERROR_CLASS, MAX_CLASS } from './budget.ts'
import { cappedDurationMs, type Duration, MAX_STORED_MS } from '../time/duration.ts'

/** A symbol is used instead of `instanceof`, because a job's module may load another copy of this package. */
const ITEM_FAULT = Symbol.for('piko.itemFault')

export interface ItemErrorOptions extends ErrorOptions {
  /** The class of the error, which chooses the budget: a name in `retry` of the kind, such as `'network'`. At most 64 characters are used. */
  readonly class: string
  /** How long to wait before the next try. Default: the back-off of the class. */
  readonly retryAfter?: Duration | Date | undefined
  /** The whole lane waits for `retryAfter`, and its rate is halved. The item itself waits with it. */
  readonly lane?: 'wait' | undefined
  /** Whether the breaker of the lane counts this error. Default: as the class says. */
  readonly breaker?: boolean | undefined
}

/** What an error says about the next try of its item. */
export interface ItemFault {
  readonly class: string
  /** Milliseconds until the next try; undefined: the back-off of the class. */
  readonly retryAfterMs: number | undefined
  readonly laneWaits: boolean
  /** Undefined: as the class says. */
  readonly breaker: boolean | undefined
}

/**
 * Thrown from an item's function to choose the budget of the failure.
 *
 * @example
 * if (status === 429) throw new ItemError('too many requests', { class: 'throttled', retryAfter: '30s', lane: 'wait' })
 */
export class ItemError extends Error {
  readonly [ITEM_FAULT]: ItemFault

  /** @throws PikoError `DURATION_INVALID` */
  constructor(message: string, options: ItemErrorOptions) {
    super(message, options)
    this.name = 'ItemError'
    this[ITEM_FAULT] = {
      class: String(options.class),
      retryAfterMs: afterMs(options.retryAfter),
      laneWaits: options.lane === 'wait',
      breaker: options.breaker,
    }
  }
}

/** What an error, or one of its causes, says about the next try. */
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
