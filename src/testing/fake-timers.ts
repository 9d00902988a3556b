import { PikoError } from '../errors.ts'
import { propertyOf } from '../errors-read.ts'

/**
 * Refuses fake timers. With them an app would wait forever, because its database, its threads and its loops need real timers. A fake `Date`
 * does no harm.
 *
 * @param call the name of the call, for the message
 * @throws PikoError `USAGE` naming what is fake, and what to do
 */
export function assertRealTimers(call: string): void {
  const { setTimeout, setInterval, setImmediate, queueMicrotask, performance, process } = globalThis
  const timers = {
    ...{ setTimeout, setInterval, setImmediate, queueMicrotask },
    nextTick: propertyOf(process, 'nextTick'),
    performance: propertyOf(performance, 'now'),
  }
  const fake = Object.entries(timers).flatMap(([name, timer]) => (isFake(timer) ? name : []))
  if (fake.length === 0) return
  throw new PikoError(
    'USAGE',
    `${call}: the test has replaced ${fake.join(', ')} with fake timers, and a running app needs real ones. Fake only the date: ` +
      "vi.useFakeTimers({ toFake: ['Date'] }) in Vitest, mock.timers.enable({ apis: ['Date'] }) in node:test, jest.useFakeTimers({ doNotFake: [all but 'Date'] }) in Jest. " +
      'To move the time of an app, use startTestApp({ clock: new ManualClock() }) and app.advance; runJob and simulate need no timers',
    { details: { fake } },
  )
}

/** Recognizes the fake timers of Vitest and Jest, Jest's old ones, and those of node:test, which binds its functions. */
function isFake(timer: unknown): boolean {
  return (
    propertyOf(timer, 'clock') !== undefined ||
    propertyOf(timer, '_isMockFunction') === true ||
    String(propertyOf(timer, 'name')).startsWith('bound ')
  )
}
