import type { z } from 'zod'
import { describe, PikoError } from '../errors.ts'
import { type ResourceMap } from '../resource/resource.ts'
import { type SinkMap } from '../sink/sink.ts'
import { orGathered } from './gathering.ts'
import { readJob } from './policy.ts'
import { type JobDefinition, type JobHandler, type JobSpec, type WindowsSpec } from './spec.ts'

/** Types a spec that is separate from its handler: `@job(spec)` with `ContextOf<typeof spec>`. */
export function jobSpec<
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
>(spec: JobSpec<R, C, S, W>): JobSpec<R, C, S, W> {
  return spec
}

/**
 * A job from a spec and a handler; TypeScript infers `ctx` from the spec.
 *
 * @throws PikoError `JOB_INVALID`, `SCHEDULE_INVALID`, `DURATION_INVALID`: one error that names every problem
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
  return orGathered(
    () => definitionOf(spec, handler),
    () => definitionOf({ id: 'wrong' }, () => {}),
  )
}

function definitionOf<
  R extends ResourceMap,
  C extends z.ZodType,
  S extends SinkMap,
  W extends WindowsSpec | undefined,
  Out,
>(spec: JobSpec<R, C, S, W>, handler: JobHandler<R, C, S, W, Out>): JobDefinition {
  if (typeof spec !== 'object' || spec === null) {
    throw new PikoError('JOB_INVALID', `a job's spec is ${describe(spec)}; expected an object such as { id: 'hello' }`)
  }
  const read = readJob(spec, handler)
  return Object.freeze({
    kind: 'piko.job',
    id: read.spec.id,
    description: read.spec.description,
    spec: read.spec,
    policy: read.policy,
    handler: handler as JobDefinition['handler'],
  })
}

export function isJobDefinition(value: unknown): value is JobDefinition {
  // Called with any export of a module, so it must not run a getter.
  return (
    typeof value === 'object' && value !== null && Object.getOwnPropertyDescriptor(value, 'kind')?.value === 'piko.job'
  )
}
