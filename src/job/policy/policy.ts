import { isObject, propertyOf } from '../../errors-read.ts'
import { describe } from '../../errors.ts'
import { isList } from '../../options.ts'
import type { ScheduleSpec } from '../../time/schedule.ts'
import type { NoticeHooks } from '../../notice/notice.ts'
import { type JobDurations, jobDurations, NO_DURATIONS } from '../job-durations.ts'
import { OVERLAPS } from '../overlap.ts'
import { PolicyChecks } from './policy-checks.ts'
import { admissionOf, misfireLimitOf, retryOf } from './policy-limits.ts'
import { cronsOf, jitterMsOf, scheduleOf, windowsOf } from './policy-schedule.ts'
import { readItems } from '../items/read-items.ts'
import { readSpec } from '../read-spec.ts'
import { checkedBy } from '../schemas/schema-check.ts'
import { type AnyJobSpec, isPriority, type JobPolicy } from '../spec.ts'
import { ON_UPSTREAM_CHANGE } from '../upstream.ts'

const JOB_ID = /^[\w.:/-]{1,128}$/

/**
 * Reads a spec and its policy.
 *
 * @throws PikoError `JOB_INVALID`, `SCHEDULE_INVALID`, `DURATION_INVALID`: one error that names every problem
 */
export function readJob(given: object, handler: unknown): { readonly spec: AnyJobSpec; readonly policy: JobPolicy } {
  const { spec, problems } = readSpec(given)
  const policy = readPolicy(spec as AnyJobSpec, problems, handler)
  return { spec: Object.freeze(spec) as AnyJobSpec, policy }
}

/** Reads the policy of a spec. Continues after each fault, to find all of them. */
function readPolicy(spec: AnyJobSpec, problems: readonly string[], handler: unknown): JobPolicy {
  const checks = new PolicyChecks(spec)
  const { faults } = checks
  const isIdUnread = problems.some((problem) => problem.startsWith("id can't"))
  if (!isIdUnread && (typeof spec.id !== 'string' || !JOB_ID.test(spec.id))) {
    faults.add('its id must be 1 to 128 letters, digits or any of _ - . : /')
  }
  for (const problem of problems) faults.add(problem)
  if (typeof handler !== 'function') {
    faults.add(`its handler is ${describe(handler)}; expected a function (ctx, resources) => …`)
  }
  checks.oneOf('overlap', spec.overlap, Object.keys(OVERLAPS))
  for (const name of ['config', 'input', 'output'] as const) {
    if (spec[name] !== undefined && !isSchema(spec[name])) {
      faults.add(`${name} is ${describe(spec[name])}; expected a zod schema`)
    }
  }
  checkInput(checks)
  const durations = faults.gather(() => jobDurations(spec), NO_DURATIONS)
  const windows = windowsOf(checks, durations)
  const schedule = faults.gather(() => scheduleOf(checks, windows, durations), undefined)
  const policy = Object.freeze({
    schedule,
    windows,
    jitterMs: jitterMsOf(checks, durations),
    retry: retryOf(checks, durations),
    timeoutMs: durations.timeoutMs,
    misfireGraceMs: durations.misfireGraceMs,
    misfireLimit: misfireLimitOf(checks),
    overlap: spec.overlap ?? 'allow',
    ...admissionOf(checks, windows, durations),
    dependsOn: dependsOnOf(checks),
    onUpstreamChange: spec.onUpstreamChange ?? 'ignore',
    priority: priorityOf(checks),
    proof: proofOf(checks),
    deadlineMs: deadlineOf(checks, durations),
    hooks: hooksOf(spec),
    items: readItems(spec, (problem) => faults.add(problem)),
  })
  faults.throwIfAny()
  return policy
}

function deadlineOf(checks: PolicyChecks, { deadlineMs }: JobDurations): number | undefined {
  const { spec, faults } = checks
  const { deadline, onLate, cron, every, at } = spec
  if (deadline === undefined) {
    if (onLate !== undefined) faults.add("onLate has no effect without deadline; add one, such as deadline: '2h'")
  } else if (cron === undefined && every === undefined && at === undefined && spec.windows === undefined) {
    checks.hasNoEffect('deadline', 'windows or a schedule')
  }
  return deadlineMs
}

function hooksOf({ onFailure, onLate, onRecovered }: AnyJobSpec): NoticeHooks {
  return Object.freeze({
    ...(onFailure && { onFailure }),
    ...(onLate && { onLate }),
    ...(onRecovered && { onRecovered }),
  })
}

/** Checks that the input schema accepts `undefined`: runs of a schedule or a window have no input. */
function checkInput({ spec, faults }: PolicyChecks): void {
  const option = (['cron', 'every', 'at', 'windows'] as const).find((name) => spec[name] !== undefined)
  if (option === undefined || !isSchema(spec.input) || !checkedBy(spec.input as object, undefined).issues) return
  faults.add(
    `input requires a value, but the runs of ${option} have none; add .optional() or .default(…) to the schema`,
  )
}

function dependsOnOf(checks: PolicyChecks): readonly string[] {
  const { dependsOn: upstreams, onUpstreamChange } = checks.spec
  const faults = checks.faults
  checks.oneOf('onUpstreamChange', onUpstreamChange, ON_UPSTREAM_CHANGE)
  if (upstreams === undefined) {
    if (onUpstreamChange !== undefined) checks.hasNoEffect('onUpstreamChange', 'dependsOn')
    return []
  }
  if (!isList(upstreams)) {
    faults.add(`dependsOn is ${describe(upstreams)}; expected a list of jobs or their ids`)
    return []
  }
  if (upstreams.length > 0 && checks.spec.windows === undefined) {
    faults.add('dependsOn needs windows: each window waits for the windows that cover it')
  }
  const ids = faults.gather(
    () =>
      upstreams.map((upstream) => {
        const id = isObject(upstream) ? propertyOf(upstream, 'id') : upstream
        if (typeof id === 'string' && JOB_ID.test(id)) return id
        faults.add(`dependsOn has ${describe(upstream)}; expected a job or the id of one`)
        return ''
      }),
    [],
  )
  return Object.freeze([...new Set(ids)])
}

function priorityOf(checks: PolicyChecks): number {
  const { priority = 0 } = checks.spec
  if (isPriority(priority)) return priority
  checks.faults.add(`priority is ${describe(priority)}; expected a whole number from -32768 to 32767`)
  return 0
}

/** The maximum length of a job's id if it has `proof`, because its proof job has a longer id. */
const MAX_PROVED_ID = 122

function proofOf(checks: PolicyChecks): ScheduleSpec | undefined {
  const { proof, id } = checks.spec
  if (proof === undefined) return undefined
  if (checks.spec.windows === undefined) checks.hasNoEffect('proof', 'windows')
  if (typeof id === 'string' && id.length > MAX_PROVED_ID) {
    checks.faults.add(`proof needs an id of at most ${MAX_PROVED_ID} characters; it has ${id.length}`)
  }
  return cronsOf(checks, 'proof', proof)
}

function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof propertyOf(value, 'safeParse') === 'function'
}
