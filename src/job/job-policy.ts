import { isObject, propertyOf } from '../errors-read.ts'
import { describe, isPikoError } from '../errors.ts'
import { isList } from '../options.ts'
import { describeInstant, readInstant } from '../time/instant.ts'
import { Schedule, type ScheduleBounds, type ScheduleSpec } from '../time/schedule.ts'
import { type AdmissionLimits } from '../run/limits.ts'
import { type JobDurations, jobDurations, NO_DURATIONS } from './job-durations.ts'
import { readSpec } from './read-spec.ts'
import { type AnyJobSpec, isPriority, type JobPolicy, type WindowPolicy, type WindowsSpec } from './spec.ts'
import { SpecFaults } from './spec-faults.ts'
import { type RetryPolicy } from '../run/retry.ts'
import { ON_UPSTREAM_CHANGE } from './upstream.ts'

const JOB_ID = /^[\w.:/-]{1,128}$/
const MAX_MISFIRES = 10_000
const MIN_DATE = new Date(0)

/**
 * A spec as it was read, and its policy.
 *
 * @throws PikoError `JOB_INVALID`, `SCHEDULE_INVALID`, `DURATION_INVALID`: one error that names every problem
 */
export function readJob(given: object, handler: unknown): { readonly spec: AnyJobSpec; readonly policy: JobPolicy } {
  const { spec, problems } = readSpec(given)
  const reader = new PolicyReader(spec as AnyJobSpec)
  const policy = reader.read(problems, handler)
  return { spec: Object.freeze(spec) as AnyJobSpec, policy }
}

/** Reads on after each fault: what is wrong has some harmless value then, of which nothing comes. */
class PolicyReader {
  readonly #spec: AnyJobSpec
  readonly #faults: SpecFaults

  constructor(spec: AnyJobSpec) {
    this.#spec = spec
    this.#faults = new SpecFaults(spec.id)
  }

  read(problems: readonly string[], handler: unknown): JobPolicy {
    const spec = this.#spec
    const faults = this.#faults
    const isIdUnread = problems.some((problem) => problem.startsWith("id can't"))
    if (!isIdUnread && (typeof spec.id !== 'string' || !JOB_ID.test(spec.id))) {
      faults.add('its id must be 1 to 128 letters, digits or any of _ - . : /')
    }
    for (const problem of problems) faults.add(problem)
    if (typeof handler !== 'function') {
      faults.add(`its handler is ${describe(handler)}; expected a function (ctx, resources) => …`)
    }
    this.#oneOf('overlap', spec.overlap, OVERLAPS)
    if (spec.config !== undefined && !isSchema(spec.config)) {
      faults.add(`config is ${describe(spec.config)}; expected a zod schema`)
    }
    const durations = faults.gather(() => jobDurations(spec), NO_DURATIONS)
    const windows = this.#windows()
    const schedule = faults.gather(() => this.#schedule(windows, durations), undefined)
    const policy = Object.freeze({
      schedule,
      windows,
      jitterMs: this.#jitterMs(durations),
      retry: this.#retry(durations),
      timeoutMs: durations.timeoutMs,
      misfireGraceMs: durations.misfireGraceMs,
      misfireLimit: this.#misfireLimit(),
      overlap: spec.overlap ?? 'allow',
      ...this.#admission(windows, durations),
      dependsOn: this.#dependsOn(),
      onUpstreamChange: spec.onUpstreamChange ?? 'ignore',
      priority: this.#priority(),
    })
    faults.throwIfAny()
    return policy
  }

  #windows(): WindowPolicy | undefined {
    const windows = this.#spec.windows as WindowsSpec | undefined
    if (windows === undefined) return undefined
    const start = this.#instant('windows.start', windows.start)
    const end = windows.end === undefined ? undefined : this.#instant('windows.end', windows.end)
    if (start && end && end <= start) {
      this.#faults.add(`windows.end ${end.toISOString()} is not after windows.start ${start.toISOString()}`)
    }
    this.#oneOf('windows.catchUp', windows.catchUp, ['all', 'latest', 'none'])
    return Object.freeze({
      start: start ?? MIN_DATE,
      end,
      catchUp: windows.catchUp ?? 'all',
      parallel: this.#atLeastOne('windows.parallel', windows.parallel) ?? 1,
    })
  }

  #schedule(windows: WindowPolicy | undefined, { everyMs }: JobDurations): ScheduleSpec | undefined {
    const spec = this.#spec
    const faults = this.#faults
    const given = (['cron', 'every', 'at'] as const).filter((kind) => spec[kind] !== undefined)
    if (given.length > 1) faults.add(`it has ${given.join(' and ')}; expected at most one of cron, every, at`)
    if (windows && given.every((kind) => kind === 'at')) {
      faults.add('its windows need a schedule whose ticks end them: cron or every')
    }
    const isRepeated = spec.cron !== undefined || spec.every !== undefined
    for (const option of ['start', 'end', 'exclude'] as const) {
      if (spec[option] !== undefined && !isRepeated) this.#hasNoEffect(option, 'cron or every')
    }
    if (spec.dst !== undefined && spec.cron === undefined) this.#hasNoEffect('dst', 'cron')
    if (spec.timezone !== undefined && spec.cron === undefined && spec.exclude === undefined) {
      this.#hasNoEffect('timezone', 'cron')
    }
    const schedule = this.#scheduleSpec(windows, everyMs)
    if (schedule) this.#assertSchedule(schedule)
    return schedule
  }

  #scheduleSpec(windows: WindowPolicy | undefined, everyMs: number | undefined): ScheduleSpec | undefined {
    const { cron, dst, at, timezone } = this.#spec
    const bounds = this.#bounds()
    if (cron !== undefined) {
      return { kind: 'cron', cron, timezone: timezone ?? 'UTC', ...(dst !== undefined && { dst }), ...bounds }
    }
    if (at !== undefined) {
      const instant = this.#instant('at', at)
      return instant && { kind: 'at', at: instant.toISOString() }
    }
    if (everyMs === undefined) return undefined
    const anchor = (windows?.start ?? new Date(0)).toISOString()
    return { kind: 'every', everyMs, anchor, ...(timezone !== undefined && { timezone }), ...bounds }
  }

  /** Only what was written: the stored text of a schedule without these options is the same as ever. */
  #bounds(): ScheduleBounds {
    const { exclude } = this.#spec
    const start = this.#optionalInstant('start')
    const end = this.#optionalInstant('end')
    return {
      ...(start && { start: start.toISOString() }),
      ...(end && { end: end.toISOString() }),
      ...(exclude !== undefined && { exclude: typeof exclude === 'function' ? { when: exclude } : exclude }),
    }
  }

  /** A schedule names its first fault alone: the others are found without that part of it. */
  #assertSchedule(schedule: ScheduleSpec): void {
    let rest: ScheduleSpec | undefined = schedule
    for (let tries = 0; rest && tries < MAX_SCHEDULE_FAULTS; tries++) {
      const whole: ScheduleSpec = rest
      rest = undefined
      this.#faults.gather(() => {
        try {
          Schedule.of(whole, this.#spec.id)
        } catch (fault) {
          if (isPikoError(fault)) rest = withoutFault(whole, fault.details['option'], fault.details['value'])
          throw fault
        }
      }, undefined)
    }
  }

  #jitterMs({ jitterMs }: JobDurations): number {
    const { jitter, cron, every, at } = this.#spec
    if (jitter !== undefined && cron === undefined && every === undefined && at === undefined) {
      this.#hasNoEffect('jitter', 'cron, every or at')
    }
    return jitterMs
  }

  #retry({ retryBaseMs, retryMaxMs }: JobDurations): RetryPolicy {
    const retry = this.#spec.retry ?? { limit: 0 }
    const limit = retry.limit === undefined ? -1 : (this.#integer('retry.limit', retry.limit) ?? 0)
    if (limit < 0) this.#faults.add(`retry.limit is ${describe(retry.limit)}; expected 0 or more`)
    this.#oneOf('retry.backoff', retry.backoff, ['fixed', 'exponential'])
    const { jitter = true, retryIf } = retry
    if (typeof jitter !== 'boolean') this.#faults.add(`retry.jitter is ${describe(jitter)}; expected true or false`)
    if (retryIf !== undefined && typeof retryIf !== 'function') {
      this.#faults.add(`retry.retryIf is ${describe(retryIf)}; expected a function (error) => boolean`)
    }
    return Object.freeze({
      limit,
      backoff: retry.backoff ?? 'exponential',
      baseMs: retryBaseMs,
      maxMs: retryMaxMs,
      jitter,
      retryIf,
    })
  }

  #misfireLimit(): number {
    const { misfire = 'skip', misfireLimit } = this.#spec
    this.#oneOf('misfire', misfire, ['skip', 'once', 'all'])
    const limit = this.#atLeastOne('misfireLimit', misfireLimit)
    if (limit !== undefined && (limit > MAX_MISFIRES || misfire !== 'all')) {
      this.#faults.add(`misfireLimit is ${limit}; expected at most ${MAX_MISFIRES}, beside misfire: 'all'`)
    }
    return { skip: 0, once: 1, all: limit ?? 100 }[misfire]
  }

  #admission(
    windows: WindowPolicy | undefined,
    durations: JobDurations,
  ): Pick<JobPolicy, 'limits' | 'concurrencyKey' | 'rateKey'> {
    const { concurrency, overlap, rate } = this.#spec
    const keyed = isObject(concurrency) ? concurrency : undefined
    const whole = keyed ? undefined : this.#atLeastOne('concurrency', concurrency)
    const most = [whole, ONE_BY_ONE.has(overlap) ? 1 : undefined].filter((limit) => limit !== undefined)
    const limits: AdmissionLimits = {
      concurrency: most.length > 0 ? Math.min(...most) : undefined,
      parallel: windows?.parallel,
      perKey: keyed && this.#atLeastOne('concurrency.limit', propertyOf(keyed, 'limit') ?? null),
      rate:
        durations.rate &&
        Object.freeze({ ...durations.rate, isKeyed: isObject(rate) && propertyOf(rate, 'key') !== undefined }),
    }
    const isLimited = Object.values(limits).some((limit) => limit !== undefined)
    return {
      limits: isLimited ? Object.freeze(limits) : undefined,
      concurrencyKey: keyed && this.#keyFunction('concurrency.key', propertyOf(keyed, 'key') ?? null),
      rateKey: isObject(rate) ? this.#keyFunction('rate.key', propertyOf(rate, 'key')) : undefined,
    }
  }

  #keyFunction(option: string, value: unknown): JobPolicy['rateKey'] {
    if (value === undefined || typeof value === 'function') return value as JobPolicy['rateKey']
    this.#faults.add(`${option} is ${describe(value)}; expected a function (run) => string | undefined`)
    return undefined
  }

  #dependsOn(): readonly string[] {
    const { dependsOn, onUpstreamChange } = this.#spec
    const faults = this.#faults
    this.#oneOf('onUpstreamChange', onUpstreamChange, ON_UPSTREAM_CHANGE)
    if (dependsOn === undefined) {
      if (onUpstreamChange !== undefined) this.#hasNoEffect('onUpstreamChange', 'dependsOn')
      return []
    }
    if (!isList(dependsOn)) {
      faults.add(`dependsOn is ${describe(dependsOn)}; expected a list of jobs or their ids`)
      return []
    }
    if (dependsOn.length > 0 && this.#spec.windows === undefined) {
      faults.add('dependsOn needs windows: each waits for the windows that cover it')
    }
    const ids = faults.gather(
      () =>
        dependsOn.map((upstream) => {
          const id = isObject(upstream) ? propertyOf(upstream, 'id') : upstream
          if (typeof id === 'string' && JOB_ID.test(id)) return id
          faults.add(`dependsOn has ${describe(upstream)}; expected a job or the id of one`)
          return ''
        }),
      [],
    )
    return Object.freeze([...new Set(ids)])
  }

  #priority(): number {
    const { priority = 0 } = this.#spec
    if (isPriority(priority)) return priority
    this.#faults.add(`priority is ${describe(priority)}; expected a whole number from -32768 to 32767`)
    return 0
  }

  #optionalInstant(option: 'start' | 'end'): Date | undefined {
    const value = this.#spec[option]
    return value === undefined ? undefined : this.#instant(option, value)
  }

  #instant(option: string, value: unknown): Date | undefined {
    const reading = this.#faults.gather(() => readInstant(value), undefined)
    if (reading && 'date' in reading) return reading.date
    if (reading) this.#faults.add(`${option} is ${describeInstant(value)}; expected ${reading.expected}`)
    return undefined
  }

  #integer(option: string, value: unknown): number | undefined {
    if (value === undefined) return undefined
    if (Number.isSafeInteger(value)) return value as number
    this.#faults.add(`${option} is ${describe(value)}; expected a whole number`)
    return undefined
  }

  #atLeastOne(option: string, value: unknown): number | undefined {
    const number = this.#integer(option, value)
    if (number === undefined || number >= 1) return number
    this.#faults.add(`${option} is ${number}; expected 1 or more`)
    return undefined
  }

  #oneOf(option: string, value: unknown, allowed: readonly string[]): void {
    if (value !== undefined && !allowed.includes(value as string)) {
      this.#faults.add(`${option} is ${describe(value)}; expected one of ${allowed.join(', ')}`)
    }
  }

  #hasNoEffect(option: keyof AnyJobSpec, without: string): void {
    this.#faults.add(`${option} ${describe(this.#spec[option])} has no effect without ${without}`)
  }
}

const OVERLAPS = ['allow', 'skip', 'bufferOne', 'bufferAll', 'cancelOther'] as const

/** Policies under which a run starts only when the one before has ended. */
const ONE_BY_ONE: ReadonlySet<unknown> = new Set(['bufferOne', 'bufferAll', 'cancelOther'])

const MAX_SCHEDULE_FAULTS = 10

function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof propertyOf(value, 'safeParse') === 'function'
}

/** The schedule with something harmless in place of what is wrong; undefined: nothing is left to look at. */
function withoutFault(schedule: ScheduleSpec, option: unknown, value: unknown): ScheduleSpec | undefined {
  if (schedule.kind === 'at') return undefined
  if (option === 'timezone') return { ...schedule, timezone: 'UTC' }
  if (option === 'start' || option === 'end' || option === 'exclude' || option === 'dst') {
    const { [option as 'start']: _wrong, ...rest } = schedule
    return rest
  }
  if (option !== 'cron' || schedule.kind !== 'cron') return undefined
  const others = [schedule.cron].flat().filter((expression) => expression !== value)
  return {
    ...schedule,
    cron: others.length > 0 && others.length < [schedule.cron].flat().length ? others : '* * * * *',
  }
}
