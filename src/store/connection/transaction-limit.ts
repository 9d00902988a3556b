import { LinkedSignal } from '../../signals/linked-signal.ts'
import { PikoError } from '../../errors.ts'
import { durationMs } from '../../time/duration.ts'
import { checkedCall } from '../../call-options.ts'
import { anything, type OptionChecks } from '../../options.ts'
import type { TransactionOptions } from '../../sql/sql.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

/** The limits for the duration of a user's transaction, in milliseconds. */
export interface TransactionLimits {
  readonly defaultMs: number
  /** The maximum that a caller may request. On SQLite, nothing else can write during a transaction, not even the node's own heartbeat. */
  readonly maxMs: number
}

export const DEFAULT_TRANSACTION_LIMITS: TransactionLimits = { defaultMs: 60_000, maxMs: Infinity }

const CHECKS: OptionChecks<TransactionOptions> = { timeout: anything }

/**
 * Returns the time limit that a caller requests, or the default.
 *
 * @throws PikoError `USAGE`, `DURATION_INVALID`
 */
export function requestedMs({ defaultMs, maxMs }: TransactionLimits, given: TransactionOptions = {}): number {
  const { timeout } = checkedCall('sql.transaction', CHECKS, given)
  if (timeout === undefined) return Math.min(defaultMs, maxMs)
  const ms = durationMs(timeout, 'timeout of sql.transaction')
  if (ms > maxMs || ms === 0) {
    const most = maxMs === Infinity ? '' : ` and, on SQLite, at most ${maxMs} ms (half of [piko] lease)`
    throw new PikoError('USAGE', `timeout of sql.transaction is "${timeout}"; expected more than 0${most}`, {
      details: { timeout, ...(maxMs !== Infinity && { mostMs: maxMs }) },
    })
  }
  return ms
}

/** The signal of one user's transaction. Aborts if the transaction must end while its function is still running. */
export class TransactionDeadline {
  readonly #linked: LinkedSignal
  readonly #timer: NodeJS.Timeout

  /** @param giveUp aborts when the caller no longer wants the transaction */
  constructor(limitMs: number, giveUp: AbortSignal | undefined) {
    this.#linked = new LinkedSignal(giveUp)
    this.#timer = setTimeout(() => this.#linked.abort(timedOut(limitMs)), Math.min(limitMs, LONGEST_TIMER_MS))
  }

  get signal(): AbortSignal {
    return this.#linked.signal
  }

  release(): void {
    clearTimeout(this.#timer)
    this.#linked.release()
  }
}

function timedOut(ms: number): PikoError {
  return new PikoError(
    'TRANSACTION_TIMEOUT',
    `the function of a transaction took longer than ${ms} ms, so it was rolled back; fetch and compute before the transaction, ` +
      'await only calls to its trx in it, or raise [piko] transaction_timeout (on SQLite at most half of [piko] lease)',
    { details: { timeoutMs: ms } },
  )
}
