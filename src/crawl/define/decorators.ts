import type { z } from 'zod'
import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { markClass } from '../../job/class-jobs.ts'
import { ownValue } from '../../job/decorator.ts'
import type { JobContext } from '../../job/context.ts'
import type { CheckedLiterals } from '../../job/spec-literals.ts'
import type { AnyJobSpec, WindowOf, WindowsSpec } from '../../job/spec.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { Page } from '../page.ts'
import type { CrawlContext } from './crawl-context.ts'
import type { AnyCrawlSpec, CrawlClassSpec, Seeds, StepSpec } from './crawl-spec.ts'
import { crawlOf } from './define-crawl.ts'

/**
 * Returns the spec of a crawl class unchanged. TypeScript infers its types, for `@crawl(spec)` and `CrawlContextOf<typeof spec>`. With
 * `steps`, the compiler checks the step names in `ctx.follow`.
 */
export function crawlSpec<
  const Step extends string = string,
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
  const Zone extends string = string,
  const Cron extends string = string,
>(spec: CrawlClassSpec<Step, R, C, S, W> & CheckedLiterals<Zone, Cron>): CrawlClassSpec<Step, R, C, S, W> {
  return spec
}

/** The context that the steps of a spec receive. */
export type CrawlContextOf<Spec> =
  Spec extends CrawlClassSpec<infer Step, infer R, infer C, infer S, infer W>
    ? CrawlContext<R, z.output<C>, S, WindowOf<W>, Step>
    : never

/** The context that the seeds of a spec receive. */
export type SeedContextOf<Spec> =
  Spec extends CrawlClassSpec<string, infer R, infer C, infer S, infer W>
    ? JobContext<R, z.output<C>, S, WindowOf<W>>
    : never

/** A class with a method `seeds`. */
interface CrawlClass<Ctx> {
  // oxlint-disable-next-line typescript/no-explicit-any
  new (...args: any[]): { seeds(ctx: Ctx): Seeds<string> | Promise<Seeds<string>> }
}

/** The result of `@crawl`: a class decorator that works as a standard (TC39) and as a legacy decorator. */
export type CrawlDecorator<Ctx> = (owner: CrawlClass<Ctx>, context?: ClassDecoratorContext) => void

/**
 * Makes a class a crawl: its method `seeds` yields the seeds, and its methods with `@step` are the steps. `defineCrawl` does the same
 * without a class.
 *
 * @throws PikoError `JOB_INVALID` if the spec is not an object, or if it decorates anything but a class; everything else is checked when
 * the class is registered
 * @example
 * \@crawl({ id: 'shop' })
 * export class Shop {
 *   async *seeds() { yield 'https://shop.test/' }
 *   \@step()
 *   page(page: Page, ctx: CrawlContext) { ctx.follow(page.links().map((url) => ({ url }))) }
 * }
 */
export function crawl<
  const Step extends string = string,
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
>(spec: CrawlClassSpec<Step, R, C, S, W>): CrawlDecorator<JobContext<R, z.output<C>, S, WindowOf<W>>> {
  if (!isObject(spec)) {
    throw new PikoError('JOB_INVALID', `@crawl got ${describe(spec)}; expected a spec, such as @crawl({ id: 'shop' })`)
  }
  return (owner) => {
    if (typeof owner !== 'function') {
      throw new PikoError(
        'JOB_INVALID',
        `crawl ${describe(propertyOf(spec, 'id'))}: @crawl is on ${describe(owner)}; expected a class`,
      )
    }
    // Only the id of a job spec is read before `define` is called, and the crawl's spec also has an id.
    markClass(owner, {
      name: 'crawl',
      spec: spec as unknown as AnyJobSpec,
      define: (receiver) => ofClass(spec, receiver),
    })
  }
}

/** A method that parses the pages of a step. */
type StepMethod = (page: Page, ctx: never) => unknown

/** The result of `@step`: a method decorator that works as a standard (TC39) and as a legacy decorator. */
export interface StepDecorator {
  (method: StepMethod, context: ClassMethodDecoratorContext): void
  <M extends StepMethod>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): void
}

const STEP = Symbol.for('piko.crawl.step')

interface StepMark extends Omit<StepSpec, 'parse'> {
  readonly name: string
}

/**
 * Makes a method of a class with `@crawl` a step.
 *
 * @param name the name of the step; default: the name of the method
 * @throws PikoError `JOB_INVALID` if it decorates anything but a method
 */
export function step(name?: string, options: Omit<StepSpec, 'parse'> = {}): StepDecorator {
  return (target: unknown, context: unknown, descriptor?: PropertyDescriptor): void => {
    const method: unknown = descriptor ? descriptor.value : target
    const own: unknown = descriptor ? context : propertyOf(context, 'name')
    const of = name ?? String(own)
    if (typeof method !== 'function') {
      throw new PikoError('JOB_INVALID', `@step(${describe(of)}) is on ${describe(method)}; expected a method`)
    }
    Object.defineProperty(method, STEP, { value: { ...options, name: of }, configurable: true })
  }
}

/** Creates the crawl of a class instance. If a subclass overrides a method, the override is used. */
function ofClass(spec: object, receiver: object): ReturnType<typeof crawlOf> {
  const methods = receiver as Record<string | symbol, (...args: unknown[]) => unknown>
  const steps: Record<string, unknown> = {}
  for (const [key, { name, ...options }] of stepsOf(receiver)) {
    steps[name] = { ...options, parse: (page: unknown, ctx: unknown) => methods[key]?.(page, ctx) }
  }
  const { steps: _, ...options } = spec as { steps?: unknown }
  return crawlOf({ ...options, seeds: (ctx: unknown) => methods['seeds']?.(ctx), steps } as unknown as AnyCrawlSpec)
}

function stepsOf(receiver: object): Map<string | symbol, StepMark> {
  const homes: object[] = []
  for (
    let home: object | null = receiver;
    home && home !== Object.prototype;
    home = Object.getPrototypeOf(home) as object | null
  ) {
    homes.unshift(home)
  }
  const found = new Map<string | symbol, StepMark>()
  for (const home of homes) {
    for (const key of Reflect.ownKeys(home)) {
      const method = ownValue<unknown>(home, key)
      const mark = typeof method === 'function' ? ownValue<StepMark>(method, STEP) : undefined
      if (mark) found.set(key, mark)
    }
  }
  return found
}
