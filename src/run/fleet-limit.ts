import type { Rate } from './limits.ts'

/** The options of a rate limit that all nodes share. */
export interface FleetLimitOptions {
  /**
   * The maximum number of units of the rate that may be taken at the same moment. Default: the count of the rate. A smaller burst spreads
   * the calls evenly. A larger one allows callers to catch up after an idle time.
   */
  readonly burst?: number
}

export interface FleetTakeOptions {
  /** Aborting this signal ends the wait: nothing is taken. The run's signal also ends it. */
  readonly signal?: AbortSignal
}

/**
 * A rate limit that all nodes of the database share. In any span of the rate's length, all nodes together take no more than the larger of
 * its count and `burst`, by the database's clock.
 */
export interface FleetLimiter {
  /**
   * Takes `count` units of the rate together, as soon as the rate allows it. Callers in this process are served in the order of their
   * calls. Begin the limited call immediately afterwards; if you wait, the target receives the call later than this limit assumes.
   *
   * @param count default 1
   * @throws the signal's reason if it aborts first: nothing is taken
   * @throws PikoError `USAGE` for more than the burst, which would wait forever
   */
  take(count?: number, options?: FleetTakeOptions): Promise<void>
  /**
   * Takes `count` units if the rate allows it now and no caller in this process is waiting.
   *
   * @throws PikoError `USAGE` for more than the burst
   */
  tryTake(count?: number): Promise<boolean>
}

/**
 * Returns the limit with this name. All users of a limit should pass the same rate. If they do not, each process uses the rate that was
 * passed last in this process.
 *
 * @param name at most 128 characters
 */
export type FleetLimit = (name: string, rate: Rate, options?: FleetLimitOptions) => FleetLimiter
