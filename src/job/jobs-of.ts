import { messageOf, propertyOf, prototypeOf } from '../errors-read.ts'
import { describe, isPikoError, PikoError, toError } from '../errors.ts'
import { checkSeen, ownValue, seenOn, specsOn } from './decorator.ts'
import { type ClassJob, classJobsOn } from './class-jobs.ts'
import { defineJob } from './define-job.ts'
import { Faults } from './faults.ts'
import type { AnyJobSpec, JobDefinition } from './spec.ts'

/** A class with any constructor. */
export type JobClass = abstract new (...args: never[]) => object

/** One job of a class, before it is bound to an instance or to the class. */
export interface DecoratedJob {
  readonly class: JobClass
  readonly isStatic: boolean
  readonly name: string | symbol
  readonly spec: AnyJobSpec
  /** The method to run. If subclasses override it, the last override is used. */
  readonly method: unknown
  /** Creates the job if the whole class is decorated; `method` is then the class itself. */
  readonly define?: ClassJob['define']
}

/**
 * Returns the jobs of a class: those of its static methods, and those of an instance, which it creates with `new Class()`. Pass an instance
 * if the constructor needs arguments.
 *
 * A subclass inherits its parents' jobs. If it overrides a method without `@job`, the parent's spec applies to the override; with `@job`,
 * its own specs replace the parent's.
 *
 * @throws PikoError `JOB_INVALID` if there is no job or the class can't be constructed; also the errors of `defineJob`, with class and
 * method in the message
 */
export function jobsOf(source: object): JobDefinition[] {
  const jobs = decoratedJobs(source)
  const instance = isClass(source) && jobs.some((job) => !job.isStatic) ? construct(source) : source
  const faults = new Faults()
  const bound = jobs.flatMap((job) => faults.gather(() => [bindJob(job, job.isStatic ? job.class : instance)], []))
  faults.throwIfAny()
  return bound
}

/** Returns the decorated jobs of a class, or of an instance's class. @throws PikoError `JOB_INVALID` if there is none */
export function decoratedJobs(source: object): DecoratedJob[] {
  const owner = classOf(source)
  for (const home of chain(owner)) if (isClass(home)) checkSeen(home)
  const jobs = [...ofClass(owner), ...findJobs(owner, homeOf(source), false), ...findJobs(owner, owner, true)]
  if (jobs.length > 0) return jobs
  throw new PikoError('JOB_INVALID', `class ${nameOf(owner)} has no method with @job`, {
    details: { class: nameOf(owner) },
  })
}

/**
 * Whether the value is a class or an instance with a `@job` method, even if another decorator has removed the job. Runs no code of the
 * value.
 */
export function carriesJobs(value: unknown): value is object {
  if (!isClass(value)) return typeof value === 'object' && value !== null && chain(homeOf(value)).some(holdsAny)
  return [...chain(value.prototype as object), ...chain(value)].some(
    (home) => holdsJob(home) || seenOn(home).length > 0 || classJobsOn(home).length > 0,
  )
}

export function isClass(value: unknown): value is JobClass {
  return typeof value === 'function' && typeof ownValue(value, 'prototype') === 'object'
}

/** Creates an instance of a class. @throws PikoError `JOB_INVALID` */
export function construct(owner: JobClass): object {
  const remedy = 'register an instance instead, for example `new Piko({ jobs: [new …] })` or an exported instance'
  const details = { class: nameOf(owner) }
  if (owner.length > 0) {
    throw new PikoError('JOB_INVALID', `class ${nameOf(owner)}: its constructor needs arguments; ${remedy}`, {
      details,
    })
  }
  try {
    return new (owner as new () => object)()
  } catch (thrown) {
    if (isPikoError(thrown)) throw thrown
    const cause = toError(thrown)
    throw new PikoError(
      'JOB_INVALID',
      `class ${nameOf(owner)}: its constructor threw "${messageOf(cause)}"; ${remedy}`,
      {
        cause,
        details,
      },
    )
  }
}

/** Creates the definition of a decorated job. Its method is called on `receiver`. */
export function bindJob(job: DecoratedJob, receiver: object): JobDefinition {
  if (job.define) return job.define(receiver)
  if (typeof job.method !== 'function') {
    throw new PikoError(
      'JOB_INVALID',
      `${labelOf(job)}: a subclass overrides the job with something that is not a method`,
      {
        details: { class: nameOf(job.class), method: String(job.name), jobId: propertyOf(job.spec, 'id') },
      },
    )
  }
  // The method is read at each call, because an instance may have bound or wrapped it.
  const methods = receiver as Record<string | symbol, (...args: unknown[]) => unknown>
  try {
    return defineJob(job.spec, (ctx, resources) => methods[job.name]?.(ctx, resources))
  } catch (error) {
    if (!isPikoError(error)) throw error
    throw new PikoError(error.code, `${labelOf(job)}: ${error.message}`, {
      cause: error,
      details: { ...error.details, class: nameOf(job.class), method: String(job.name) },
    })
  }
}

/** Returns the name of a decorated job for messages, such as `OrderJobs.sync`. */
export function labelOf(job: DecoratedJob): string {
  return `${nameOf(job.class)}.${String(job.name)}`
}

export function classOf(source: object): JobClass {
  if (isClass(source)) return source
  const owner = chain(homeOf(source))
    .map((home) => ownValue(home, 'constructor'))
    .find(isClass)
  if (owner) return owner
  throw new PikoError('JOB_INVALID', `${describe(source)} is neither a class nor an instance of one`)
}

function findJobs(owner: JobClass, start: object | null, isStatic: boolean): DecoratedJob[] {
  const found = new Map<string | symbol, { specs: readonly AnyJobSpec[]; method: unknown }>()
  for (const home of chain(start).toReversed()) {
    for (const name of Reflect.ownKeys(home)) {
      const method: unknown = ownValue(home, name)
      const specs = specsOn(method)
      if (specs.length > 0) found.set(name, { specs, method })
      else if (found.has(name)) found.set(name, { specs: found.get(name)?.specs ?? [], method })
    }
  }
  return [...found].flatMap(([name, { specs, method }]) =>
    specs.map((spec) => ({ class: owner, isStatic, name, spec, method })),
  )
}

function holdsJob(home: object): boolean {
  return Reflect.ownKeys(home).some((name) => specsOn(ownValue(home, name)).length > 0)
}

/** Whether a prototype has a method with a job, or its class is decorated as a whole. */
function holdsAny(home: object): boolean {
  return holdsJob(home) || classJobsOn(ownValue(home, 'constructor')).length > 0
}

/** Returns the jobs of the most derived class that is decorated as a whole. */
function ofClass(owner: JobClass): DecoratedJob[] {
  const decorated = chain(owner)
    .map((home) => classJobsOn(home))
    .find((jobs) => jobs.length > 0)
  return (decorated ?? []).map(({ name, spec, define }) => ({
    class: owner,
    isStatic: false,
    name,
    spec,
    method: owner,
    define,
  }))
}

/** Returns an object and its prototypes, without the built-in ones. */
function chain(start: object | null): object[] {
  const homes: object[] = []
  let home = start
  while (home && home !== Object.prototype && home !== Function.prototype) {
    homes.push(home)
    home = prototypeOf(home)
  }
  return homes
}

function homeOf(source: object): object | null {
  return isClass(source) ? (source.prototype as object) : prototypeOf(source)
}

function nameOf(owner: JobClass): string {
  const name: unknown = ownValue(owner, 'name')
  return typeof name === 'string' && name !== '' ? name : '(anonymous)'
}
