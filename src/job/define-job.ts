import type { z } from 'zod'
import { describe, PikoError } from '../errors.ts'
import type { ResourceMap } from '../resource/resource.ts'
import type { SinkMap } from '../sink/sink.ts'
import type { ItemData } from './items/adding.ts'
import { orGathered } from './gathering.ts'
import { readJob } from './policy/policy.ts'
import type { AsJson, SpecTypes, Typed } from './job-types.ts'
import type { CheckedLiterals } from './spec-literals.ts'
import type { AnyJobSpec, JobDefinition, JobHandler, JobSpec, WindowsSpec } from './spec.ts'

/**
 * Returns a spec unchanged. Use it for a spec that is written separately from its handler: TypeScript infers its types, for `@job(spec)`
 * with `ContextOf<typeof spec>`. Runs can also be requested with the spec: `app.run(spec, { input })`.
 */
export function jobSpec<
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
  const Zone extends string = string,
  const Cron extends string = string,
>(
  spec: JobSpec<R, C, S, W, I, O, M> & CheckedLiterals<Zone, Cron>,
): JobSpec<R, C, S, W, I, O, M> & Typed<SpecTypes<C, W, I, AsJson<z.input<O>>>> {
  return spec
}

/**
 * Creates a job from a spec and a handler; TypeScript infers `ctx` from the spec.
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
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
  Out extends z.input<O> = z.input<O>,
  const Zone extends string = string,
  const Cron extends string = string,
>(
  spec: JobSpec<R, C, S, W, I, O, M> & CheckedLiterals<Zone, Cron>,
  handler: JobHandler<R, C, S, W, Out, I, M>,
): JobDefinition<SpecTypes<C, W, I, AsJson<Awaited<Out>>>> {
  const plain: JobSpec<R, C, S, W, I, O, M> = spec
  return orGathered(
    () => definitionOf(plain, handler),
    () => definitionOf({ id: 'wrong' }, () => {}),
    // The types exist only for the compiler.
  ) as JobDefinition<SpecTypes<C, W, I, AsJson<Awaited<Out>>>>
}

function definitionOf(spec: AnyJobSpec, handler: unknown): JobDefinition {
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
  // The value may be any export of a module, so its getters must not be called.
  return (
    typeof value === 'object' && value !== null && Object.getOwnPropertyDescriptor(value, 'kind')?.value === 'piko.job'
  )
}
