import { PikoError } from '../errors.ts'
import { carriesJobs } from '../job/jobs-of.ts'
import { Service } from '../service/service.ts'
import type { InstanceWrapper, NestModule, NestModules } from './nest-core.ts'

/** The jobs and services among the providers and controllers of an application. */
export interface Discovered {
  /** Instances of classes with `@job`. */
  readonly jobs: readonly object[]
  /** Instances of services, in the order of their modules. */
  readonly services: readonly Service[]
}

/**
 * Finds providers and controllers with `@job` methods, and providers that are services. If several modules provide a class, it is used
 * once.
 *
 * @throws PikoError `JOB_INVALID` naming every provider with `@job` methods, and every service, of which Nest creates more than one
 *   instance
 */
export function discover(modules: NestModules): Discovered {
  const jobs = new Set<object>()
  const services = new Set<Service>()
  const classes = new Set<unknown>()
  const problems: string[] = []
  for (const [module, wrapper] of wrappersOf(modules)) {
    const { instance, metatype } = wrapper
    const hasJobs = carriesJobs(instance) || (!wrapper.isNotMetatype && carriesJobs(metatype))
    if (!hasJobs && !(instance instanceof Service)) continue
    if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient) {
      problems.push(`${String(wrapper.name)} of ${module.name}`)
      continue
    }
    if (typeof instance !== 'object' || instance === null) continue
    if (hasJobs && !classes.has(instance.constructor)) {
      classes.add(instance.constructor)
      jobs.add(instance)
    }
    if (instance instanceof Service) services.add(instance)
  }
  if (problems.length > 0) throw notForAll(problems)
  return { jobs: [...jobs], services: [...services] }
}

export function* wrappersOf(modules: NestModules): Generator<readonly [NestModule, InstanceWrapper]> {
  for (const module of modules.values())
    for (const wrapper of [...module.providers.values(), ...module.controllers.values()]) yield [module, wrapper]
}

function notForAll(problems: readonly string[]): PikoError {
  return new PikoError(
    'JOB_INVALID',
    `${problems.join(', ')}: a provider with @job methods, or a service, needs one instance for the whole application; ` +
      'it, or a provider that it injects, has the scope REQUEST or TRANSIENT. Move the jobs to a provider with the default scope',
    { details: { providers: problems } },
  )
}
