import type { z } from 'zod'
import { describe, PikoError } from '../errors.ts'
import { type ResourceMap } from '../resource/resource.ts'
import { type SinkMap } from '../sink/sink.ts'
import { describeInstant, type InstantInput, readInstant } from '../time/instant.ts'
import { Schedule, type ScheduleBounds, type ScheduleSpec } from '../time/schedule.ts'
import { type AdmissionLimits } from './admission.ts'
import { ON_UPSTREAM_CHANGE } from './dependencies.ts'
import { type JobDurations, jobDurations } from './job-durations.ts'
import {
  type AnyAdmissible,
  type AnyJobSpec,
  isPriority,
  type JobDefinition,
  type JobHandler,
  type JobPolicy,
  type JobSpec,
  type RetryPolicy,
  type WindowPolicy,
  type WindowsSpec,
} from './spec.ts'

/** Types a spec that is used apart from its handler: `@job(spec)` with `ContextOf<typeof spec>`. */
export function jobSpec<
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
>(spec: JobSpec<R, C, S, W>): JobSpec<R, C, S, W> {
  return spec
}

/**
 * A job from a spec and a handler; everything about `ctx` is inferred from the spec.
 *
 * @throws PikoError `JOB_INVALID`, `SCHEDULE_INVALID`, `DURATION_INVALID`
 * @example
 * export const hello = defineJob({ id: 'hello', cron: '* * * * *' }, async (ctx) => ctx.log.info('hello'))
 */
export function defineJob<
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
  Out = unknown,
>(spec: JobSpec<R, C, S, W>, handler: JobHandler<R, C, S, W, Out>): JobDefinition {
  if (typeof spec !== 'object' || spec === null) {
    throw new PikoError('JOB_INVALID', `a job's spec is ${describe(spec)}; expected an object such as { id: 'hello' }`)
  }
  if (typeof handler !== 'function') {
    throw invalid(spec, `its handler is ${describe(handler)}; expected a function (ctx, resources) => …`)
  }
  return Object.freeze({
    kind: 'piko.job',
    id: spec.id,
    description: spec.description,
    spec: Object.freeze({ ...spec }) as AnyJobSpec,
    policy: policyOf(spec),
    handler: handler as JobDefinition['handler'],
  })
}

export function isJobDefinition(value: unknown): value is JobDefinition {
  // Asked of anything that a module exports: no getter may run.
  return (
    typeof value === 'object' && value !== null && Object.getOwnPropertyDescriptor(value, 'kind')?.value === 'piko.job'
  )
}

const JOB_ID = /^[\w.:/-]{1,128}$/
const OPTIONS: Readonly<Record<keyof JobSpec, true>> = {
  id: true,
  description: true,
  cron: true,
  every: true,
  at: true,
  timezone: true,
  dst: true,
  start: true,
  end: true,
  exclude: true,
  jitter: true,
  windows: true,
  config: true,
  resources: true,
  sinks: true,
  retry: true,
  timeout: true,
  misfireGraceTime: true,
  misfire: true,
  misfireLimit: true,
  overlap: true,
  concurrency: true,
  rate: true,
  dependsOn: true,
  onUpstreamChange: true,
  priority: true,
}

function policyOf(spec: AnyJobSpec): JobPolicy {
  if (typeof spec.id !== 'string' || !JOB_ID.test(spec.id)) {
    throw invalid(spec, 'its id must be 1 to 128 letters, digits or any of _ - . : /')
  }
  for (const option of Object.keys(spec)) {
    if (!Object.hasOwn(OPTIONS, option)) {
      throw invalid(spec, `unknown option "${option}"; the options are ${Object.keys(OPTIONS).join(', ')}`)
    }
  }
  oneOf(spec, 'overlap', spec.overlap, OVERLAPS)
  if (spec.config !== undefined && !isSchema(spec.config)) {
    throw invalid(spec, `config is ${describe(spec.config)}; expected a zod schema`)
  }
  const windows = windowPolicy(spec)
  const durations = jobDurations(spec)
  const schedule = scheduleSpec(spec, windows, durations)
  if (schedule) Schedule.of(schedule, spec.id)
  return Object.freeze({
    schedule,
    windows,
    jitterMs: jitterMs(spec, durations),
    retry: retryPolicy(spec, durations),
    timeoutMs: durations.timeoutMs,
    misfireGraceMs: durations.misfireGraceMs,
    misfireLimit: misfireLimit(spec),
    overlap: spec.overlap ?? 'allow',
    ...admission(spec, windows, durations),
    dependsOn: dependsOn(spec),
    onUpstreamChange: spec.onUpstreamChange ?? 'ignore',
    priority: priority(spec),
  })
}

const OVERLAPS = ['allow', 'skip', 'bufferOne', 'bufferAll', 'cancelOther'] as const

/** Policies under which a run starts only when the one before has ended. */
const ONE_BY_ONE: ReadonlySet<unknown> = new Set(['bufferOne', 'bufferAll', 'cancelOther'])

function admission(
  spec: AnyJobSpec,
  windows: WindowPolicy | undefined,
  durations: JobDurations,
): Pick<JobPolicy, 'limits' | 'concurrencyKey' | 'rateKey'> {
  const keyed = isRecord(spec.concurrency) ? spec.concurrency : undefined
  const whole = keyed ? undefined : atLeastOne(spec, 'concurrency', spec.concurrency)
  const most = [whole, ONE_BY_ONE.has(spec.overlap) ? 1 : undefined].filter((limit) => limit !== undefined)
  const limits: AdmissionLimits = {
    concurrency: most.length > 0 ? Math.min(...most) : undefined,
    parallel: windows?.parallel,
    perKey: keyed && atLeastOne(spec, 'concurrency.limit', keyed['limit'] ?? null),
    rate:
      durations.rate &&
      Object.freeze({ ...durations.rate, isKeyed: isRecord(spec.rate) && spec.rate['key'] !== undefined }),
  }
  const isLimited = Object.values(limits).some((limit) => limit !== undefined)
  return {
    limits: isLimited ? Object.freeze(limits) : undefined,
    concurrencyKey: keyed && keyFunction(spec, 'concurrency.key', keyed['key'] ?? null),
    rateKey: isRecord(spec.rate) ? keyFunction(spec, 'rate.key', spec.rate['key']) : undefined,
  }
}

function keyFunction(spec: AnyJobSpec, option: string, value: unknown): ((run: AnyAdmissible) => unknown) | undefined {
  if (value === undefined || typeof value === 'function') return value as ReturnType<typeof keyFunction>
  throw invalid(spec, `${option} is ${describe(value)}; expected a function (run) => string | undefined`)
}

function dependsOn(spec: AnyJobSpec): readonly string[] {
  oneOf(spec, 'onUpstreamChange', spec.onUpstreamChange, ON_UPSTREAM_CHANGE)
  if (spec.dependsOn === undefined) {
    if (spec.onUpstreamChange === undefined) return []
    throw invalid(spec, `onUpstreamChange ${describe(spec.onUpstreamChange)} has no effect without dependsOn`)
  }
  if (!Array.isArray(spec.dependsOn)) {
    throw invalid(spec, `dependsOn is ${describe(spec.dependsOn)}; expected a list of jobs or their ids`)
  }
  if (spec.dependsOn.length > 0 && spec.windows === undefined) {
    throw invalid(spec, 'dependsOn needs windows: each waits for the windows that cover it')
  }
  const ids = (spec.dependsOn as readonly unknown[]).map((upstream) => {
    const id = isRecord(upstream) ? upstream['id'] : upstream
    if (typeof id === 'string' && JOB_ID.test(id)) return id
    throw invalid(spec, `dependsOn has ${describe(upstream)}; expected a job or the id of one`)
  })
  return Object.freeze([...new Set(ids)])
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

const MOST_MISFIRES = 10_000

function misfireLimit(spec: AnyJobSpec): number {
  oneOf(spec, 'misfire', spec.misfire, ['skip', 'once', 'all'])
  const limit = atLeastOne(spec, 'misfireLimit', spec.misfireLimit)
  if (limit !== undefined && (limit > MOST_MISFIRES || spec.misfire !== 'all')) {
    throw invalid(spec, `misfireLimit is ${limit}; expected at most ${MOST_MISFIRES}, beside misfire: 'all'`)
  }
  return { skip: 0, once: 1, all: limit ?? 100 }[spec.misfire ?? 'skip']
}

function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'safeParse' in value
}

function scheduleSpec(
  spec: AnyJobSpec,
  windows: WindowPolicy | undefined,
  { everyMs }: JobDurations,
): ScheduleSpec | undefined {
  const given = (['cron', 'every', 'at'] as const).filter((kind) => spec[kind] !== undefined)
  if (given.length > 1) throw invalid(spec, `it has ${given.join(' and ')}; expected at most one of cron, every, at`)
  if (windows && (spec.at !== undefined || given.length === 0)) {
    throw invalid(spec, 'its windows need a schedule whose ticks end them: cron or every')
  }
  const isRepeated = spec.cron !== undefined || spec.every !== undefined
  for (const option of ['start', 'end', 'exclude'] as const) {
    if (spec[option] !== undefined && !isRepeated) {
      throw invalid(spec, `${option} ${describe(spec[option])} has no effect without cron or every`)
    }
  }
  if (spec.dst !== undefined && spec.cron === undefined) {
    throw invalid(spec, `dst ${describe(spec.dst)} has no effect without cron`)
  }
  if (spec.timezone !== undefined && spec.cron === undefined && spec.exclude === undefined) {
    throw invalid(spec, `timezone ${describe(spec.timezone)} has no effect without cron`)
  }
  const bounds = scheduleBounds(spec)
  if (spec.cron !== undefined) {
    const { cron, timezone = 'UTC', dst } = spec
    return { kind: 'cron', cron, timezone, ...(dst !== undefined && { dst }), ...bounds }
  }
  if (spec.at !== undefined) return { kind: 'at', at: instant(spec, 'at', spec.at).toISOString() }
  if (everyMs === undefined) return undefined
  const { timezone } = spec
  const anchor = (windows?.start ?? new Date(0)).toISOString()
  return { kind: 'every', everyMs, anchor, ...(timezone !== undefined && { timezone }), ...bounds }
}

/** Only what was written: the stored text of a schedule without these options is the same as ever. */
function scheduleBounds(spec: AnyJobSpec): ScheduleBounds {
  const { exclude } = spec
  return {
    ...(spec.start !== undefined && { start: instant(spec, 'start', spec.start).toISOString() }),
    ...(spec.end !== undefined && { end: instant(spec, 'end', spec.end).toISOString() }),
    ...(exclude !== undefined && { exclude: typeof exclude === 'function' ? { when: exclude } : exclude }),
  }
}

function jitterMs(spec: AnyJobSpec, durations: JobDurations): number {
  if (spec.jitter === undefined) return 0
  if (spec.cron !== undefined || spec.every !== undefined || spec.at !== undefined) {
    return durations.jitterMs
  }
  throw invalid(spec, `jitter ${describe(spec.jitter)} has no effect without cron, every or at`)
}

function windowPolicy(spec: AnyJobSpec): WindowPolicy | undefined {
  const windows = spec.windows as WindowsSpec | undefined
  if (windows === undefined) return undefined
  const start = instant(spec, 'windows.start', windows.start)
  const end = windows.end === undefined ? undefined : instant(spec, 'windows.end', windows.end)
  if (end && end <= start)
    throw invalid(spec, `windows.end ${end.toISOString()} is not after windows.start ${start.toISOString()}`)
  oneOf(spec, 'windows.catchUp', windows.catchUp, ['all', 'latest', 'none'])
  return Object.freeze({
    start,
    end,
    catchUp: windows.catchUp ?? 'all',
    parallel: atLeastOne(spec, 'windows.parallel', windows.parallel) ?? 1,
  })
}

function retryPolicy(spec: AnyJobSpec, { retryBaseMs, retryMaxMs }: JobDurations): RetryPolicy {
  const retry = spec.retry ?? { limit: 0 }
  const limit = integer(spec, 'retry.limit', retry.limit)
  if (limit === undefined || limit < 0)
    throw invalid(spec, `retry.limit is ${describe(retry.limit)}; expected 0 or more`)
  oneOf(spec, 'retry.backoff', retry.backoff, ['fixed', 'exponential'])
  if (retry.retryIf !== undefined && typeof retry.retryIf !== 'function') {
    throw invalid(spec, `retry.retryIf is ${describe(retry.retryIf)}; expected a function (error) => boolean`)
  }
  return Object.freeze({
    limit,
    backoff: retry.backoff ?? 'exponential',
    baseMs: retryBaseMs,
    maxMs: retryMaxMs,
    jitter: retry.jitter ?? true,
    retryIf: retry.retryIf,
  })
}

function instant(spec: AnyJobSpec, option: string, value: InstantInput): Date {
  const reading = readInstant(value)
  if ('date' in reading) return reading.date
  throw invalid(spec, `${option} is ${describeInstant(value)}; expected ${reading.expected}`)
}

function integer(spec: AnyJobSpec, option: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value)) throw invalid(spec, `${option} is ${describe(value)}; expected a whole number`)
  return value as number
}

function priority(spec: AnyJobSpec): number {
  const value = spec.priority ?? 0
  if (isPriority(value)) return value
  throw invalid(spec, `priority is ${describe(value)}; expected a whole number from -32768 to 32767`)
}

function atLeastOne(spec: AnyJobSpec, option: string, value: unknown): number | undefined {
  const number = integer(spec, option, value)
  if (number !== undefined && number < 1) throw invalid(spec, `${option} is ${number}; expected 1 or more`)
  return number
}

function oneOf(spec: AnyJobSpec, option: string, value: unknown, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value as string)) {
    throw invalid(spec, `${option} is ${describe(value)}; expected one of ${allowed.join(', ')}`)
  }
}

function invalid(spec: AnyJobSpec, problem: string): PikoError {
  return new PikoError('JOB_INVALID', `job ${describe(spec.id)}: ${problem}`, { details: { jobId: spec.id } })
}
