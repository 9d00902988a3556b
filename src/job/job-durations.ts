import { describe, type ErrorCode, PikoError } from '../errors.ts'
import { MAX_DURATION_MS, MAX_STORED_MS, readDuration } from '../time/duration.ts'
import { parseRate, type RateLimit } from '../run/limits.ts'
import { DEFAULT_RETRY_BASE_MS, DEFAULT_RETRY_MAX_MS } from '../run/retry.ts'
import type { AnyJobSpec, WindowsSpec } from './spec.ts'

/** The durations of a job's spec, in milliseconds. */
export interface JobDurations {
  readonly everyMs: number | undefined
  readonly jitterMs: number
  readonly windowDelayMs: number | undefined
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  readonly timeoutMs: number | undefined
  readonly misfireGraceMs: number
  readonly deadlineMs: number | undefined
  readonly rate: RateLimit | undefined
}

const FIVE_MINUTES_MS = 300_000

/** Used in place of durations that can't be read. */
export const NO_DURATIONS: JobDurations = {
  everyMs: undefined,
  jitterMs: 0,
  windowDelayMs: undefined,
  retryBaseMs: 0,
  retryMaxMs: 0,
  timeoutMs: undefined,
  misfireGraceMs: 0,
  deadlineMs: undefined,
  rate: undefined,
}

interface Problem {
  readonly what: string
  readonly value: unknown
  readonly text: string
  readonly code: ErrorCode
}

/**
 * Reads every duration of a spec. If a duration is added to a stored instant, its maximum is smaller than if it is only compared.
 *
 * @throws PikoError `DURATION_INVALID`, or `JOB_INVALID` for a rate; names every problem
 */
export function jobDurations(spec: AnyJobSpec): JobDurations {
  const problems: Problem[] = []
  const read = (option: string, value: unknown, maxMs: number): number => {
    const reading = readDuration(value, maxMs)
    if ('ms' in reading) return reading.ms
    const text = `${option} of job "${spec.id}" is ${describe(value)}; expected ${reading.expected}`
    problems.push({ what: `${option} of job "${spec.id}"`, value, text, code: 'DURATION_INVALID' })
    return 0
  }
  const optional = (option: string, value: unknown, maxMs: number): number | undefined =>
    value === undefined ? undefined : read(option, value, maxMs)
  const durations = {
    everyMs: optional('every', spec.every, MAX_DURATION_MS),
    jitterMs: optional('jitter', spec.jitter, MAX_STORED_MS) ?? 0,
    windowDelayMs: optional('windows.delay', delayOf(spec), MAX_STORED_MS),
    retryBaseMs: optional('retry.base', spec.retry?.base, MAX_STORED_MS) ?? DEFAULT_RETRY_BASE_MS,
    retryMaxMs: optional('retry.max', spec.retry?.max, MAX_STORED_MS) ?? DEFAULT_RETRY_MAX_MS,
    timeoutMs: optional('timeout', spec.timeout, MAX_DURATION_MS),
    misfireGraceMs: optional('misfireGraceTime', spec.misfireGraceTime, MAX_DURATION_MS) ?? FIVE_MINUTES_MS,
    deadlineMs: optional('deadline', spec.deadline, MAX_STORED_MS),
    rate: readRate(spec, problems),
  }
  if (problems.length > 0) throw invalid(spec, problems)
  return durations
}

function delayOf({ windows }: AnyJobSpec): unknown {
  return (windows as WindowsSpec | undefined)?.delay
}

function readRate(spec: AnyJobSpec, problems: Problem[]): RateLimit | undefined {
  if (spec.rate === undefined) return undefined
  const isRecord = typeof spec.rate === 'object' && spec.rate !== null
  const value: unknown = isRecord ? spec.rate.rate : spec.rate
  const option = isRecord ? 'rate.rate' : 'rate'
  const parsed = parseRate(value)
  if (!('problem' in parsed)) return parsed
  const text = `job ${describe(spec.id)}: ${option} is ${parsed.problem}`
  problems.push({ what: option, value, text, code: 'JOB_INVALID' })
  return undefined
}

function invalid({ id }: AnyJobSpec, problems: readonly Problem[]): PikoError {
  const [first, ...others] = problems as [Problem, ...Problem[]]
  const alone = first.code === 'JOB_INVALID' ? { jobId: id } : { what: first.what, value: first.value }
  const listed = { jobId: id, problems: problems.map(({ what, value }) => ({ what, value })) }
  return new PikoError(first.code, problems.map(({ text }) => text).join('\n'), {
    details: others.length > 0 ? listed : alone,
  })
}
