import { describe, isObject, isWhole } from '../../errors-read.ts'
import {
  aFunction,
  anything,
  expecting,
  flag,
  isList,
  listOf,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import type { ItemRetrySpec } from '../../item/budget.ts'
import { RETRY_CHECKS } from '../../run/retry-checks.ts'
import { MAX_DURATION_MS, MAX_STORED_MS, readDuration } from '../../time/duration.ts'
import { aDuration } from '../../time/duration-check.ts'
import { fetchProblems, type FetchSpec } from '../fetch/fetch-spec.ts'
import { FOLLOW_CHECKS } from '../link/link-filter.ts'
import { STEP_REQUEST_CHECKS } from '../request/request-checks.ts'
import { laneOfHost } from '../run/item-payload.ts'
import { type BlockedRetrySpec, type CrawlRetry, RETRIED_CLASSES } from '../run/failure-policy.ts'
import type { CrawlLimits, CrawlOptions, DedupSpec, StepSpec } from './crawl-spec.ts'

const isTable = (value: unknown): value is object => isObject(value) && !isList(value) && typeof value !== 'function'

/** Creates the check for an object with these options. */
function nested<T extends object>(checks: OptionChecks<T>, example: string): OptionCheck {
  return (value) => {
    const { problems } = readOptions<T>(value, checks, example)
    return problems.length === 0 ? undefined : `is wrong: ${problems.join('; ')}`
  }
}

const functions = listOf('functions', aFunction)
const aDownloader = expecting(
  'a downloader, such as browser()',
  (value) =>
    isObject(value) &&
    (('download' in value && typeof value.download === 'function') ||
      ('stream' in value && typeof value.stream === 'function')),
)
const byName =
  (what: string, check: OptionCheck): OptionCheck =>
  (value) => {
    if (!isTable(value)) return `is ${describe(value)}; expected an object of ${what} by name`
    const wrong = Object.entries(value)
      .map(([name, one]: [string, unknown]) => ({ name, problem: check(one) }))
      .find(({ problem }) => problem !== undefined)
    return wrong && `has ${describe(wrong.name)}, which ${wrong.problem}`
  }

const DEDUP: OptionChecks<DedupSpec> = {
  scope: expecting("'run', 'job' or { within: '7d' }", isScope),
  ignore: listOf(
    'names of query parameters',
    expecting('a name, such as "utm_*"', (value) => typeof value === 'string' && value !== ''),
  ),
}

const SIZE = /^(\d+(?:\.\d+)?)(KB|MB|GB)$/
const SIZES: Readonly<Record<string, number>> = { KB: 1_000, MB: 1_000_000, GB: 1_000_000_000 }
/** The largest body limit that a crawl may set, in bytes: a body is held in one buffer. */
const MAX_BODY_BYTES = 1_000_000_000

const LIMITS: OptionChecks<CrawlLimits> = {
  items: wholeNumber(1),
  depth: wholeNumber(0, 32_767),
  time: aDuration(1, MAX_STORED_MS),
  bytes: expecting(
    `a number of bytes up to ${MAX_BODY_BYTES}, or a string such as '10MB'`,
    (value) => bytesOf(value) !== undefined,
  ),
  private: flag,
}

const BUDGET: OptionChecks<ItemRetrySpec> = {
  limit: wholeNumber(0, 1_000_000),
  base: aDuration(0, MAX_STORED_MS),
  max: aDuration(0, MAX_STORED_MS),
  breaker: flag,
  renew: flag,
}

const BLOCKED: OptionChecks<BlockedRetrySpec> = { ...BUDGET, fresh: listOf('texts', oneOf('session', 'proxy')) }

const orLimit =
  (check: OptionCheck): OptionCheck =>
  (value) =>
    typeof value === 'number' ? wholeNumber(0, 1_000_000)(value) : check(value)

const RETRY = {
  ...Object.fromEntries(RETRIED_CLASSES.map((name) => [name, orLimit(nested(BUDGET, "{ limit: 5, base: '1s' }"))])),
  blocked: orLimit(nested(BLOCKED, "{ limit: 3, fresh: ['session'] }")),
  seeds: orLimit(nested(RETRY_CHECKS, "{ limit: 3, base: '10s' }")),
} as OptionChecks<CrawlRetry>

/** Creates the check for one option of {@link FetchSpec}. */
const fetched =
  (name: keyof FetchSpec): OptionCheck =>
  (value) => {
    const problems = fetchProblems({ [name]: value }).map((problem) =>
      problem.slice(name.length).replace(/^:/, ' is wrong:'),
    )
    return problems.length === 0 ? undefined : problems.join('; ').trimStart()
  }

/** The checks of the options that a crawl has in addition to those of a job. */
export const CRAWL_CHECKS: OptionChecks<CrawlOptions> = {
  userAgent: fetched('userAgent'),
  robots: fetched('robots'),
  session: fetched('session'),
  proxies: fetched('proxies'),
  cache: fetched('cache'),
  dedup: nested(DEDUP, "{ scope: 'run' }"),
  follow: nested(FOLLOW_CHECKS, "{ within: 'host' }"),
  hosts: (value) => {
    if (!isTable(value))
      return `is ${describe(value)}; expected an object of limits by host, such as { '*': { rate: '2/s', parallel: 4 } }`
    const wrong = Object.keys(value).find((name) => hostKey(name) === undefined)
    return wrong === undefined
      ? undefined
      : `has ${describe(wrong)}; expected a host such as "api.shop.com" or "shop.com:8080", or "*" for all others`
  },
  retry: nested(RETRY, '{ network: 5, parse: 1 }'),
  isBlocked: aFunction,
  use: functions,
  rows: functions,
  downloaders: byName('downloaders', aDownloader),
  dead: aFunction,
  keep: nested({ dead: oneOf('body', 'nothing') }, "{ dead: 'body' }"),
  limits: nested(LIMITS, '{ items: 1_000_000, depth: 20 }'),
  tolerate: anything,
}

/** The checks of a step's options. */
export const STEP_CHECKS: OptionChecks<StepSpec> = {
  parse: aFunction,
  priority: expecting(
    'a whole number from -32768 to 32767',
    (value) => isWhole(value) && value >= -32_768 && value <= 32_767,
  ),
  timeout: aDuration(1, MAX_DURATION_MS),
  request: nested({ ...STEP_REQUEST_CHECKS, timeout: aDuration(1) }, "{ headers: { accept: 'application/json' } }"),
  downloader: (value) =>
    typeof value === 'string' && value !== ''
      ? undefined
      : aDownloader(value)?.replace('expected', 'expected a name or'),
  follow: nested(FOLLOW_CHECKS, "{ within: 'host' }"),
}

/**
 * Converts a host in `hosts` to the name of its lane: in lower case and punycode, without a default port. Returns `'*'` unchanged.
 * Undefined for anything else, such as a URL or a pattern.
 */
export function hostKey(name: string): string | undefined {
  if (name === '*') return name
  if (/[/?#@*\\\s]/.test(name)) return undefined
  const url = URL.parse(`http://${name}`)
  return url ? laneOfHost(url.host.replace(/:443$/, '')) : undefined
}

/** Converts a size such as `'10MB'`, or a number, to bytes. Returns undefined if the value is not a size or is too large. */
export function bytesOf(value: unknown): number | undefined {
  const [, amount, unit] = (typeof value === 'string' && SIZE.exec(value)) || []
  const bytes = unit === undefined ? value : Math.floor(Number(amount) * (SIZES[unit] ?? NaN))
  return isWhole(bytes) && bytes >= 1 && bytes <= MAX_BODY_BYTES ? bytes : undefined
}

function isScope(value: unknown): boolean {
  if (value === 'run' || value === 'job') return true
  if (!isTable(value) || Object.keys(value).join() !== 'within') return false
  const reading = readDuration((value as { within: unknown }).within, MAX_STORED_MS)
  return 'ms' in reading && reading.ms >= 1_000
}
