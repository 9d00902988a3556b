import { prototypeOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import type { Duration } from '../time/duration.ts'
import type { Schedule } from '../time/schedule.ts'
import { crontabSchedule, type CrontabOptions, firstDelayMs, intervalOf, type TimerOptions } from './timer.ts'

/** A method that runs in the background. Its argument is the signal of the service's current life. */
export type BackgroundMethod = (signal: AbortSignal) => unknown

/** The part of TypeScript's `ClassMethodDecoratorContext` that is the same for a method of any class. */
interface MethodContext {
  readonly kind: 'method'
  readonly static: boolean
  readonly name: string | symbol
  readonly access: { get(instance: object): unknown }
  addInitializer(initializer: (this: object) => void): void
}

/** The first form is the TC39 method decorator, the second the legacy one (`experimentalDecorators`). */
export interface BackgroundDecorator {
  (method: BackgroundMethod, context: MethodContext): void
  <M extends BackgroundMethod>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): void
}

type Trigger =
  | { readonly kind: 'task' }
  | { readonly kind: 'timer'; readonly every: string; readonly intervalMs: number; readonly firstMs: number }
  | { readonly kind: 'crontab'; readonly expression: string; readonly schedule: Schedule }

/** A decorated method, and how to run it in the background. */
export interface Declared {
  readonly name: string
  readonly trigger: Trigger
  readonly method: (service: object) => BackgroundMethod
}

/**
 * Runs the method in the background after every start of the service. The method may return at any time; if it throws, the service crashes.
 * When the service stops, the signal aborts and the stop waits for the method.
 *
 * Inherited methods run too, and so does an override without the decorator.
 *
 * @throws PikoError `SERVICE_INVALID` if it decorates anything but an instance method
 */
export const task: BackgroundDecorator = decorator('task', { kind: 'task' })

/**
 * Calls the method once per interval, however long a call takes: first after one interval unless an option says otherwise, then at fixed
 * times. Calls never overlap: ticks during a call are skipped and counted, see `Service.timerStats`. If the method throws, the service
 * crashes.
 *
 * @throws PikoError `DURATION_INVALID`, `SERVICE_INVALID`; `RangeError` for an interval of 0, or if both `immediate` and `after` are given
 */
export function timer(every: Duration, options: TimerOptions = {}): BackgroundDecorator {
  const intervalMs = intervalOf(every, '@timer')
  return decorator('timer', { kind: 'timer', every, intervalMs, firstMs: firstDelayMs(intervalMs, options, '@timer') })
}

/**
 * Calls the method at the ticks of a cron expression: five fields, or six with seconds first. Calls never overlap: ticks during a call are
 * skipped and counted. If the method throws, the service crashes.
 *
 * @throws PikoError `SCHEDULE_INVALID`, `SERVICE_INVALID`
 */
export function crontab(expression: string, options: CrontabOptions = {}): BackgroundDecorator {
  return decorator('crontab', { kind: 'crontab', expression, schedule: crontabSchedule(expression, options) })
}

/** Returns the decorated methods of this service, base classes first, with one entry per name. */
export function declaredOn(service: object): readonly Declared[] {
  const byName = new Map<string, Declared>()
  const homes: object[] = []
  for (let home: object | null = service; home; home = prototypeOf(home)) homes.push(home)
  for (const home of homes.reverse()) {
    for (const declared of ownDeclared(home)) byName.set(declared.name, declared)
  }
  return [...byName.values()]
}

// A registered symbol, so that every copy of this package in a process sees these marks.
const DECLARED = Symbol.for('piko.service.background')

function decorator(word: string, trigger: Trigger): BackgroundDecorator {
  return (target: unknown, context: unknown, descriptor?: PropertyDescriptor): void => {
    if (isTc39(context)) {
      const { access } = context
      if ((context.kind as string) !== 'method') throw notAMethod(word, context.name, `a ${String(context.kind)}`)
      if (context.static) throw notAMethod(word, context.name, 'a static method')
      const name = String(context.name)
      // This runs for each new instance before its fields are set. `this` is the instance.
      context.addInitializer(function (this: object) {
        declare(this, { name, trigger, method: (service) => access.get(service) as BackgroundMethod })
      })
      return
    }
    const key = context as string | symbol
    if (typeof target === 'function') throw notAMethod(word, key, 'a static method')
    if (typeof descriptor?.value !== 'function') throw notAMethod(word, key, descriptor ? 'an accessor' : 'a field')
    declare(target as object, {
      name: String(key),
      trigger,
      method: (service) => (service as Record<string | symbol, BackgroundMethod>)[key] as BackgroundMethod,
    })
  }
}

function isTc39(context: unknown): context is MethodContext {
  return typeof context === 'object' && context !== null && 'kind' in context && 'addInitializer' in context
}

function ownDeclared(home: object): readonly Declared[] {
  return (Object.getOwnPropertyDescriptor(home, DECLARED)?.value as readonly Declared[] | undefined) ?? []
}

function declare(home: object, declared: Declared): void {
  Object.defineProperty(home, DECLARED, { value: [...ownDeclared(home), declared], configurable: true })
}

function notAMethod(word: string, name: string | symbol | undefined, what: string): PikoError {
  return new PikoError('SERVICE_INVALID', `@${word} is on "${String(name)}", ${what}; expected a method`, {
    details: { decorator: word, method: String(name) },
  })
}
