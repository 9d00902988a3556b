import type { z } from 'zod'
import { propertyOf, prototypeOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import type { BorrowedOf, ResourceMap } from '../resource/resource.ts'
import type { SinkMap } from '../sink/sink.ts'
import type { JobContext } from './context.ts'
import type { ItemData } from './items/adding.ts'
import type { CheckedLiterals } from './spec-literals.ts'
import type { AnyJobSpec, JobSpec, WindowOf, WindowsSpec } from './spec.ts'

/**
 * The decorator that `@job(spec)` returns. The first form is a TC39 method decorator, the second a legacy one (`experimentalDecorators`).
 * Both work for instance and static methods. `Handler` is the parameter type of a function type, so TypeScript rejects a method that needs
 * more than the spec provides.
 */
export interface JobDecorator<Handler> {
  (method: Handler, context: MethodContext): void
  <M extends Handler>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): void
}

/** The part of TypeScript's `ClassMethodDecoratorContext` that is the same for every public method. */
interface MethodContext {
  readonly kind: 'method'
  readonly private: false
  readonly static: boolean
  readonly name: string | symbol
  readonly metadata?: object
  addInitializer(initializer: () => void): void
}

/** A method that a spec of these types can decorate. */
export type JobMethod<
  R extends ResourceMap,
  C extends z.ZodType,
  S extends SinkMap,
  W extends WindowsSpec | undefined,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
> = (
  ctx: JobContext<R, z.output<C>, S, WindowOf<W>, z.output<I>, M>,
  resources: BorrowedOf<R>,
) => z.input<O> | Promise<z.input<O>>

/**
 * Makes a method a job; `defineJob` does the same without a class. One method may have several jobs. If other decorators replace the
 * method, `@job` must be the outermost one.
 *
 * A decorator can check the types of the method's parameters but can't infer them: write `ctx: ContextOf<typeof spec>`, or `ctx:
 * JobContext` if the method uses no resources, sinks, config or input of the spec.
 *
 * @throws PikoError `JOB_INVALID` if it decorates anything but a public method; the spec itself is checked when the class is registered, so
 * that the message can name the class and the method
 */
export function job<
  const R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  const S extends SinkMap = Record<never, never>,
  const W extends WindowsSpec | undefined = undefined,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
  const Zone extends string = string,
  const Cron extends string = string,
>(spec: JobSpec<R, C, S, W, I, O, M> & CheckedLiterals<Zone, Cron>): JobDecorator<JobMethod<R, C, S, W, I, O, M>> {
  if (typeof spec !== 'object' || spec === null) {
    throw new PikoError(
      'JOB_INVALID',
      `@job got ${describe(spec)}; expected a spec, such as @job({ id: 'ping', every: '10s' })`,
    )
  }
  const plain: JobSpec<R, C, S, W, I, O, M> = spec
  return (target: unknown, context: unknown, descriptor?: PropertyDescriptor): void => {
    if (isTc39(context)) decorateTc39(plain, target, context)
    else decorateLegacy(plain, target, context, descriptor)
  }
}

/** A method that `@job` has decorated, and its class. */
interface Sighting {
  readonly isStatic: boolean
  readonly name: string | symbol
  readonly method: unknown
}

// Registered symbols, so that every copy of this package in a process sees these marks.
const SPECS = Symbol.for('piko.job')
const SEEN = Symbol.for('piko.job.methods')

/** Returns the specs that decorate this function itself, in source order. */
export function specsOn(value: unknown): readonly AnyJobSpec[] {
  return typeof value === 'function' ? (ownValue<readonly AnyJobSpec[]>(value, SPECS) ?? []) : []
}

/**
 * Returns the methods of a class that `@job` has decorated. The list is complete for legacy decorators. For TC39 decorators, it depends on
 * the metadata that the toolchain keeps. So use it only to detect a lost job, never to find the jobs.
 */
export function seenOn(owner: object): readonly Sighting[] {
  const key = (Symbol as { readonly metadata?: symbol }).metadata ?? Symbol.for('Symbol.metadata')
  const metadata = ownValue<object>(owner, key)
  return ownValue<Sighting[]>(owner, SEEN) ?? (metadata && ownValue<Sighting[]>(metadata, SEEN)) ?? []
}

/**
 * Checks that no decorated method of a class was replaced.
 *
 * @throws PikoError `JOB_INVALID` if other code has replaced a method of the class that `@job` has decorated
 */
export function checkSeen(owner: { readonly name: string; readonly prototype: unknown }): void {
  for (const { isStatic, name, method } of seenOn(owner)) {
    const home = isStatic ? owner : (owner.prototype as object)
    if (ownValue(home, name) !== method) throw replacedByDecorator(owner.name, name)
  }
}

/** Returns the value of an own data property. Never calls a getter. */
export function ownValue<T>(object: object, key: PropertyKey): T | undefined {
  return Object.getOwnPropertyDescriptor(object, key)?.value as T | undefined
}

function isTc39(context: unknown): context is MethodContext {
  return typeof context === 'object' && context !== null && 'kind' in context && 'addInitializer' in context
}

function decorateTc39(spec: AnyJobSpec, method: unknown, context: MethodContext): void {
  const kind: string = context.kind
  if (kind !== 'method' || typeof method !== 'function') throw notAMethod(spec, context.name, `a ${kind}`)
  if (context.private as boolean) throw notAMethod(spec, context.name, 'a private method')
  mark(method, spec)
  if (context.metadata) see(context.metadata, { isStatic: context.static, name: context.name, method })
  // For a static method, this runs when the class is defined; otherwise when an instance is created. `this` is the class or the instance.
  context.addInitializer(function (this: unknown) {
    const receiver = this as object
    if (!isOnChain(receiver, context.name, method)) {
      const owner = (context.static ? receiver : receiver.constructor) as { readonly name: string }
      throw replacedByDecorator(owner.name, context.name)
    }
  })
}

function decorateLegacy(
  spec: AnyJobSpec,
  home: unknown,
  name: unknown,
  descriptor: PropertyDescriptor | undefined,
): void {
  if (typeof name !== 'string' && typeof name !== 'symbol') throw notAMethod(spec, undefined, describe(home))
  const method: unknown = descriptor?.value
  if (typeof method !== 'function') throw notAMethod(spec, name, descriptor ? 'an accessor' : 'a field')
  mark(method, spec)
  const isStatic = typeof home === 'function'
  see(isStatic ? home : (home as object).constructor, { isStatic, name, method })
}

// Adds a spec to the marks of a method. The innermost decorator is applied first, so the newest spec is the first one in the source.
function mark(method: object, spec: AnyJobSpec): void {
  hidden(method, SPECS, [spec, ...specsOn(method)])
}

function see(holder: object, sighting: Sighting): void {
  hidden(holder, SEEN, [...(ownValue<Sighting[]>(holder, SEEN) ?? []), sighting])
}

function isOnChain(start: object, name: string | symbol, method: unknown): boolean {
  for (let home: object | null = start; home; home = prototypeOf(home)) {
    if (ownValue(home, name) === method) return true
  }
  return false
}

function hidden(object: object, key: symbol, value: unknown): void {
  Object.defineProperty(object, key, { value, configurable: true })
}

function replacedByDecorator(className: string, name: string | symbol): PikoError {
  return new PikoError(
    'JOB_INVALID',
    `${className}.${String(name)}: another decorator replaced the method after @job saw it; write @job above the others`,
    { details: { class: className, method: String(name) } },
  )
}

function notAMethod(spec: AnyJobSpec, name: string | symbol | undefined, what: string): PikoError {
  const id = propertyOf(spec, 'id')
  const on = name === undefined ? what : `"${String(name)}", ${what}`
  return new PikoError('JOB_INVALID', `job ${describe(id)}: @job is on ${on}; expected a public method`, {
    details: { jobId: id },
  })
}
