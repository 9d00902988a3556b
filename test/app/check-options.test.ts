import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import type { PikoError } from '../../src/errors.ts'
import { Resource } from '../../src/resource/resource.ts'
import { defineService } from '../../src/service/define-service.ts'
import { Service } from '../../src/service/service.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { startTestApp } from '../../src/testing/test-app.ts'
import { rejected, thrown } from '../support/thrown.ts'
import type { PikoOptions } from '../../src/app/piko-options.ts'

class Cache extends Service {}
class Rates extends Resource<number> {
  async *acquire(): AsyncGenerator<number, void, void> {
    yield 1
  }
}

const make = (options: unknown): Piko => new Piko(options as PikoOptions)
const refusal = (options: unknown): PikoError => thrown(() => make(options))
const throwing = (name: string): object =>
  Object.defineProperty({}, name, {
    enumerable: true,
    get() {
      throw new Error('boom')
    },
  })

it('an app accepts every option of its type, and undefined for each', () => {
  const logger = createLogger({ level: 'silent', json: true, name: 'test' })
  const settings = { piko: { log_level: 'silent' } }
  const services = [Cache, new Cache(), defineService({ name: 'mine' })]
  const own = { registry: new Registry(), construct: () => new Rates() }
  const all = { jobs: [[class {}], {}], settings, logger, services, ...own, plan: false, execute: false, only: ['a'] }
  expect(make({ ...all, clock: new ManualClock(), graceMs: 0 }).log).toBe(logger)
  expect(make({ settings, logger: undefined, jobs: undefined, plan: undefined }).settings.piko.logLevel).toBe('silent')
})

/** Not in test titles, because some can't be printed. */
const REFUSED: readonly (readonly [options: unknown, problem: string])[] = [
  [null, 'the options are null; expected an object, such as new Piko({ jobs: [OrderJobs] })'],
  ['jobs/**/*.ts', 'the options are "jobs/**/*.ts"; expected an object'],
  [[{ jobs: [] }], 'the options are [{"jobs":[]}]; expected an object'],
  [
    { logger: console },
    "logger is console, which lacks child, isLevelEnabled; expected a pino logger such as pino({ level: 'info' }). Leave it out for the default logger",
  ],
  [{ logger: 'debug' }, 'logger is "debug", which lacks trace, debug, info, warn, error, child, isLevelEnabled;'],
  [{ logger: null }, 'logger is null, which lacks trace,'],
  [{ loger: console }, 'unknown option "loger", did you mean "logger"?'],
  [
    { registry: {} },
    'registry is {}, which lacks registerMetric, getSingleMetric, removeSingleMetric; expected a prom-client registry',
  ],
  [{ construct: 7 }, 'construct is 7; expected a function'],
  [{ Jobs: [] }, 'unknown option "Jobs", did you mean "jobs"?'],
  [{ grace_ms: 1 }, 'unknown option "grace_ms", did you mean "graceMs"?'],
  [
    { concurrency: 5 },
    'unknown option "concurrency"; the options are jobs, settings, logger, registry, construct, services, notifiers, onFailure, onLate, onRecovered, plan, execute, only, onlyOwn, clock, graceMs',
  ],
  [
    { jobs: 'jobs/*.ts' },
    'jobs is "jobs/*.ts"; expected job classes or definitions. To name files, use settings: { piko: { jobs: ["jobs/*.ts"] } }',
  ],
  [{ jobs: [{}, [undefined]] }, 'jobs[1][0] is undefined; expected a class or an instance with @job methods'],
  [{ jobs: 7 }, 'jobs is 7; expected'],
  [{ settings: 'settings.toml' }, 'settings is "settings.toml"; expected an object'],
  [{ settings: [] }, 'settings is []; expected an object'],
  [{ settings: { piko: throwing('slots') } }, "settings can't be read: reading them threw Error: boom"],
  [{ services: Cache }, 'services is function Cache; expected a list of services'],
  [{ services: [Cache, class Plain {}] }, 'services[1] is function Plain; expected a Service, or a class of one'],
  [{ plan: 'no' }, 'plan is "no"; expected true or false'],
  [{ execute: 0 }, 'execute is 0; expected true or false'],
  [{ only: 'a' }, 'only is "a"; expected a list of job ids'],
  [{ only: ['a', 5] }, 'only[1] is 5; expected a string'],
  [{ clock: Date }, 'clock is function Date, which lacks monotonic, sleep; expected a clock such as ManualClock'],
  [{ graceMs: '5s' }, 'graceMs is "5s"; expected milliseconds from 0 to 2147483647'],
  [{ graceMs: -1 }, 'graceMs is -1; expected'],
  [{ graceMs: NaN }, 'graceMs is NaN; expected'],
  [throwing('plan'), "plan can't be read: reading it threw Error: boom"],

  [
    {
      only: new Proxy(['a'], {
        get: () => {
          throw new Error('trap')
        },
      }),
    },
    "only can't be read: reading it threw Error: trap",
  ],
]

it('an app refuses options that are unknown, wrong or unreadable', () => {
  for (const [options, problem] of REFUSED) {
    const error = refusal(options)
    expect(error.message).toContain(problem)
    expect(error).toMatchObject({ code: 'USAGE', details: { problems: [expect.any(String)] } })
  }
})

it('an app names all problems of its options and its settings together', () => {
  const error = refusal({
    logger: console,
    loger: 1,
    plan: 'yes',
    only: [''],
    settings: { piko: { leese: '5s', lease: 'x' } },
  })
  expect(error.message.split('\n')[0]).toBe('new Piko has 5 problems:')
  for (const what of [
    '"loger", did',
    'logger is console',
    'plan is "yes"',
    'only[0] is ""',
    'piko.leese',
    'piko.lease = "x"',
  ])
    expect(error.message).toContain(what)
  expect(error.details['problems']).toHaveLength(5)
})

it('an app with only wrong settings throws SETTINGS_INVALID', () => {
  expect(refusal({ settings: { piko: { leese: '5s' } } }).code).toBe('SETTINGS_INVALID')
})

it('an app reads its options once: later changes to them have no effect', async () => {
  const options = { jobs: [], execute: false, settings: { piko: { log_level: 'silent' } } as const, plan: false }
  const app = make(options)
  options.execute = 5 as never
  await expect(app.tree()).resolves.toBeInstanceOf(Service)
})

it('an app for tests checks its options too', async () => {
  expect((await rejected(startTestApp({ jobs: [], loger: 1 } as never))).message).toContain('did you mean "logger"')
  expect((await rejected(startTestApp(undefined as never))).code).toBe('USAGE')
})
