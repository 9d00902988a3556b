import type { ItemRetrySpec } from '../../item/budget.ts'
import type { RetrySpec } from '../../run/retry.ts'
import { FAILURE_CLASSES, type FailureClass } from '../crawl-error.ts'

/** A failure class, or `timeout` for a page that exceeded the time limit of its step. */
export type RetriedClass = FailureClass | 'timeout'

/** What to replace before a blocked page is retried. */
export type Fresh = 'session' | 'proxy'

/** How a page is retried after it was blocked. */
export interface BlockedRetrySpec extends ItemRetrySpec {
  /**
   * What to replace before the next try. `'session'`: the blocked session is retired; without this, the block counts as one failure of the
   * session, and the next try may use it again. `'proxy'`: the next try avoids all proxies whose last request this host has blocked, if
   * there are others. Default: both.
   */
  readonly fresh?: readonly Fresh[]
}

/**
 * How often a page is retried after failures of each class. Each class is counted separately. A number alone is the maximum number of
 * retries.
 */
export type CrawlRetry = { readonly [K in Exclude<RetriedClass, 'blocked'>]?: number | ItemRetrySpec } & {
  readonly blocked?: number | BlockedRetrySpec
  /** The retries of the function `seeds`, with the options of a job's `retry`. Default `{ limit: 3, base: '10s' }`. */
  readonly seeds?: number | RetrySpec
}

export const RETRIED_CLASSES: readonly RetriedClass[] = [...FAILURE_CLASSES, 'timeout']

const SEEDS_RETRY: RetrySpec = { limit: 3, base: '10s' }

const BUDGETS: Readonly<Record<RetriedClass, ItemRetrySpec>> = {
  network: { limit: 5, base: '1s', max: '60s', breaker: true },
  timeout: { limit: 5, base: '1s', max: '60s', breaker: true },
  throttled: { limit: 20, base: '1s', max: '1h' },
  server: { limit: 5, base: '2s', max: '5m', breaker: true },
  blocked: { limit: 3, base: '1s', max: '60s' },
  client: { limit: 0 },
  size: { limit: 0 },
  redirect: { limit: 0 },
  address: { limit: 0 },
  // An unreadable robots.txt is requested again for about an hour. A page that robots.txt disallows is skipped and not retried.
  robots: { limit: 120, base: '30s', max: '30s', breaker: true },
  // A stream may store checkpoints between its failures. If they renewed the retries, a step that keeps refusing messages would be retried
  // forever.
  parse: { limit: 1, renew: false },
  sink: { limit: 5, base: '1s', max: '60s', renew: false },
  setup: { limit: 0, renew: false },
}

/** If a server sends a longer `Retry-After`, it is shortened to this, in milliseconds. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/** Returns the retries of a crawl by failure class. The spec's options for a class replace the default options one by one. */
export function budgetsOf(retry: CrawlRetry): Record<RetriedClass, ItemRetrySpec> {
  const own = (name: RetriedClass): Partial<ItemRetrySpec> => {
    const given = retry[name]
    if (typeof given === 'number') return { limit: given }
    const { fresh: _, ...budget }: Partial<BlockedRetrySpec> = given ?? {}
    return budget
  }
  return Object.fromEntries(RETRIED_CLASSES.map((name) => [name, { ...BUDGETS[name], ...own(name) }])) as Record<
    RetriedClass,
    ItemRetrySpec
  >
}

/** Returns what to replace before a blocked page is retried. */
export function freshOf({ blocked }: CrawlRetry): ReadonlySet<Fresh> {
  const given = typeof blocked === 'object' ? blocked.fresh : undefined
  return new Set(given ?? ['session', 'proxy'])
}

export function seedsRetryOf({ seeds }: CrawlRetry): RetrySpec {
  return typeof seeds === 'number' ? { ...SEEDS_RETRY, limit: seeds } : (seeds ?? SEEDS_RETRY)
}
