import { type ItemBudget, type ItemRetrySpec, MAX_CLASS, RETRY_BASE_MS, RETRY_MAX_MS } from '../../item/budget.ts'
import { type LaneSpec, MAX_LANE } from '../../item/lane.ts'
import { describe, isObject, isWhole, safely } from '../../errors-read.ts'
import {
  aFunction,
  expecting,
  flag,
  isList,
  type OptionChecks,
  placed,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import { parseRate, type RateLimit } from '../../run/limits.ts'
import { MAX_DURATION_MS, MAX_STORED_MS, readDuration } from '../../time/duration.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { ItemKind, ItemLimits, ItemTolerance } from './item-kind.ts'
import type { Dedup, ItemPolicy, KindPolicy, LanePolicy } from './item-policy.ts'

const KIND_NAME = /^[\w.-]{1,64}$/
/** MySQL ignores spaces at the end of a name, and the store marks such names with this control character. */
const IGNORED_END = /[ \u0001]$/
const SHARE = /^(\d{1,3}(?:\.\d+)?)%$/

const KIND: OptionChecks<ItemKind> = {
  run: aFunction,
  dead: aFunction,
  lane: aFunction,
  lanes: expecting("an object of limits by lane, such as { '*': { rate: '2/s', parallel: 4 } }", isRecord),
  laneScope: expecting(
    'a string of 1 to 128 characters that does not end with a space',
    (value) => isText(value, 128) && !IGNORED_END.test(value),
  ),
  retry: expecting("an object of budgets by class, such as { network: 5, '*': 0 }", isRecord),
  priority: wholeNumber(-32_768, 32_767),
  turn: expecting("'start' or 'call'", (value) => value === 'start' || value === 'call'),
  timeout: aDuration(1, MAX_DURATION_MS),
  dedup: expecting("'run', 'job', false or { within: '7d' }", (value) => readDedup(value) !== undefined),
  prepare: aFunction,
}
const LANE: OptionChecks<LaneSpec> = {
  rate: (value) => problemOfRate(value),
  parallel: wholeNumber(1, 100_000),
  throttle: flag,
}
const RETRY: OptionChecks<ItemRetrySpec> = {
  limit: wholeNumber(0, 1_000_000),
  base: aDuration(0, MAX_STORED_MS),
  max: aDuration(0, MAX_STORED_MS),
  breaker: flag,
  renew: flag,
}
const TOLERATE: OptionChecks<ItemTolerance> = {
  dead: expecting("a number of items, or a share such as '1%'", (value) => readTolerance(value) !== undefined),
}
const LIMITS: OptionChecks<ItemLimits> = { items: wholeNumber(1), depth: wholeNumber(0, 32_767) }

/** The item options of a spec. */
export interface GivenItems {
  readonly id: string
  readonly items?: unknown
  readonly tolerate?: unknown
  readonly limits?: unknown
}

/**
 * Reads the items of a spec.
 *
 * @param fault receives each problem
 * @returns undefined for a job without items
 */
export function readItems(given: GivenItems, fault: (problem: string) => void): ItemPolicy | undefined {
  if (given.items === undefined) {
    for (const name of ['tolerate', 'limits'] as const) {
      if (given[name] !== undefined) fault(`${name} ${describe(given[name])} has no effect without items`)
    }
    return undefined
  }
  const kindsGiven = entriesOf(given.items)
  if (!kindsGiven || kindsGiven.length === 0) {
    fault(
      `items is ${describe(given.items)}; expected an object of kinds, such as { page: { run: async (item) => … } }`,
    )
    return undefined
  }
  const tolerate = read<ItemTolerance>('tolerate', given.tolerate ?? {}, TOLERATE, "{ dead: '1%' }", fault)
  const limits = read<ItemLimits>('limits', given.limits ?? {}, LIMITS, '{ items: 1000000 }', fault)
  const kinds = new Map<string, KindPolicy>()
  for (const [name, kind] of kindsGiven) {
    if (KIND_NAME.test(name)) kinds.set(name, readKind(given.id, name, kind, fault))
    else fault(`items has a kind named ${describe(name)}; expected 1 to 64 letters, digits or any of _ - .`)
  }
  return Object.freeze({
    kinds,
    tolerated: readTolerance(tolerate.dead ?? 0) ?? { count: 0 },
    maxItems: limits.items,
    maxDepth: limits.depth,
  })
}

/** The properties of an object. Undefined for any other value, and for an object that throws when it is read. */
function entriesOf(value: unknown): readonly (readonly [string, unknown])[] | undefined {
  return isRecord(value) ? safely(() => Object.entries(value), undefined) : undefined
}

function readEntries(
  at: string,
  value: unknown,
  fault: (problem: string) => void,
): readonly (readonly [string, unknown])[] {
  const entries = entriesOf(value ?? {})
  if (!entries) fault(`${at} is ${describe(value)}; expected an object that can be read`)
  return entries ?? []
}

function readKind(jobId: string, name: string, given: unknown, fault: (problem: string) => void): KindPolicy {
  const at = `items.${name}`
  const kind = read<ItemKind>(at, given, KIND, '{ run: async (item) => … }', fault, ['run'])
  const timeout = kind.timeout === undefined ? undefined : readDuration(kind.timeout)
  return Object.freeze({
    name,
    kind: Object.freeze({ run: () => undefined, ...kind }),
    laneScope: kind.laneScope ?? jobId,
    lanes: new Map(
      readEntries(`${at}.lanes`, kind.lanes, fault).map(([lane, spec]) => [
        lane,
        readLane(`${at}.lanes`, lane, spec, fault),
      ]),
    ),
    budgets: new Map(
      readEntries(`${at}.retry`, kind.retry, fault).map(([of, spec]) => [
        of,
        readBudget(`${at}.retry`, of, spec, fault),
      ]),
    ),
    priority: kind.priority ?? 0,
    timeoutMs: timeout && 'ms' in timeout ? timeout.ms : undefined,
    dedup: readDedup(kind.dedup ?? 'run') ?? 'run',
  })
}

function readLane(at: string, lane: string, given: unknown, fault: (problem: string) => void): LanePolicy {
  if (!isText(lane, MAX_LANE))
    fault(`${at} has a lane named ${describe(lane)}; expected 1 to ${MAX_LANE} characters without lone surrogates`)
  const {
    rate,
    parallel,
    throttle = false,
  } = read<LaneSpec>(`${at}[${describe(lane)}]`, given, LANE, "{ rate: '2/s' }", fault)
  return Object.freeze({ rate: rate === undefined ? undefined : limitOf(rate), parallel, throttle })
}

function readBudget(at: string, name: string, given: unknown, fault: (problem: string) => void): ItemBudget {
  if (!isText(name, MAX_CLASS))
    fault(`${at} has a class named ${describe(name)}; expected 1 to ${MAX_CLASS} characters without lone surrogates`)
  const spec = isWhole(given) && given >= 0 ? { limit: given } : given
  const example = "{ limit: 5, base: '1s', max: '1m' }"
  const {
    limit = 0,
    base,
    max,
    breaker = false,
    renew = true,
  } = read<ItemRetrySpec>(`${at}.${name}`, spec, RETRY, example, fault, ['limit'])
  return Object.freeze({
    limit,
    baseMs: msOf(base, RETRY_BASE_MS),
    maxMs: msOf(max, RETRY_MAX_MS),
    breaker,
    renew,
  })
}

/** Reads the options of a part of the spec. Each problem names that part. */
function read<T extends object>(
  at: string,
  given: unknown,
  checks: OptionChecks<T>,
  example: string,
  fault: (problem: string) => void,
  required: readonly (keyof T)[] = [],
): Partial<T> {
  const { options, problems } = readOptions<T>(given, checks, example, required)
  for (const problem of problems) fault(placed(`${at}:`, problem))
  return options
}

/** Parses a `dedup` option; undefined if it is invalid. */
export function readDedup(value: unknown): Dedup | undefined {
  if (value === 'run' || value === 'job') return value
  if (value === false) return 'none'
  if (!isRecord(value) || Object.keys(value).join() !== 'within') return undefined
  const reading = readDuration(value['within'], MAX_STORED_MS)
  return 'ms' in reading && reading.ms >= 1_000 ? { withinMs: reading.ms } : undefined
}

function readTolerance(value: unknown): ItemPolicy['tolerated'] | undefined {
  if (isWhole(value) && value >= 0) return { count: value }
  const [, percent] = (typeof value === 'string' && SHARE.exec(value)) || []
  return percent !== undefined && Number(percent) <= 100 ? { share: Number(percent) / 100 } : undefined
}

function limitOf(rate: unknown): RateLimit | undefined {
  const parsed = parseRate(rate)
  return 'problem' in parsed ? undefined : parsed
}

function problemOfRate(value: unknown): string | undefined {
  const parsed = parseRate(value)
  return 'problem' in parsed ? `is ${parsed.problem}` : undefined
}

function msOf(duration: unknown, otherwise: number): number {
  const reading = readDuration(duration, MAX_STORED_MS)
  return 'ms' in reading ? reading.ms : otherwise
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return isObject(value) && !isList(value) && typeof value !== 'function'
}

export function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= most && value.isWellFormed()
}
