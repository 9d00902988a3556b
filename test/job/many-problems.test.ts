import { describe, expect, it } from 'vitest'
import type { PikoError } from '../../src/errors.ts'
import { job } from '../../src/job/decorator.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { jobsOf } from '../../src/job/jobs-of.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import { thrown } from '../support/thrown.ts'

const noop = (): void => undefined
const define = (spec: object, handler: unknown = noop): PikoError =>
  thrown(() => defineJob(spec as JobSpec, handler as () => void))

/** The errors of both ways to write a job with this spec. */
function refusals(spec: object): PikoError[] {
  class Jobs {
    @job(spec as JobSpec)
    run(): void {}
  }
  return [define(spec), thrown(() => jobsOf(Jobs)), thrown(() => JobRegistry.of([Jobs]))]
}

function throwing<T extends object>(object: T, ...names: string[]): T {
  for (const name of names) {
    Object.defineProperty(object, name, {
      enumerable: true,
      get() {
        throw new Error(`no ${name}`)
      },
    })
  }
  return object
}

const MANY = {
  id: 'two words',
  cron: ['a day', '* * * * *', '99 * * * *'],
  timezone: 'Europe/Atlantis',
  dst: 'never',
  corn: '* * * * *',
  description: 5,
  start: '2026-02-30T00:00:00Z',
  exclude: { weekdays: ['someday'] },
  windows: { start: 'soon', catchup: 'all', catchUp: 'some', parallel: 0 },
  config: 42,
  resources: { db: undefined },
  sinks: 'orders',
  retry: { limit: -1, backoff: 'linear', retryif: noop, retryIf: 5, jitter: 'yes', base: '1', max: null },
  timeout: 10,
  misfireGraceTime: 'long',
  misfire: 'twice',
  misfireLimit: 0,
  overlap: 'queue',
  concurrency: { limit: 0, key: 'x', kee: 1 },
  rate: { rate: 'fast', key: 5 },
  dependsOn: ['a b', 5],
  onUpstreamChange: 'redo',
  priority: 1.5,
}
const PROBLEMS = [
  'its id must be 1 to 128 letters',
  'cron is "a day"',
  'cron is "99 * * * *"',
  'timezone is "Europe/Atlantis"',
  'dst is "never"',
  'unknown option "corn", did you mean "cron"?',
  'description is 5; expected a string',
  'start is "2026-02-30T00:00:00Z"',
  'exclude is "someday"',
  'windows.start is "soon"',
  'unknown option "windows.catchup", did you mean "windows.catchUp"?',
  'windows.catchUp is "some"',
  'windows.parallel is 0',
  'config is 42',
  'resources has undefined as db; expected a resource class',
  'sinks is "orders"',
  'retry.limit is -1',
  'retry.backoff is "linear"',
  'unknown option "retry.retryif", did you mean "retry.retryIf"?',
  'retry.retryIf is 5',
  'retry.jitter is "yes"',
  'retry.base is "1"',
  'retry.max is null',
  'timeout is 10',
  'misfireGraceTime is "long"',
  'misfire is "twice"',
  'misfireLimit is 0',
  'overlap is "queue"',
  'concurrency.limit is 0',
  'concurrency.key is "x"',
  'unknown option "concurrency.kee", did you mean "concurrency.key"?',
  'rate.rate is "fast"',
  'rate.key is 5',
  'dependsOn has "a b"',
  'dependsOn has 5',
  'onUpstreamChange is "redo"',
  'priority is 1.5',
]

describe('a job with many problems', () => {
  it('is refused with all of them, one per line, decorated or not', () => {
    for (const error of refusals(MANY)) {
      expect(error.code).toBe('JOB_INVALID')
      for (const problem of PROBLEMS)
        expect(error.message.split('\n').filter((line) => line.includes(problem))).toHaveLength(1)
      expect(error.details['problems']).toHaveLength(PROBLEMS.length)
    }
  })

  it('is refused together with its handler', () => {
    const { message } = define({ id: 'a', overlap: 'queue', shop: 1 }, 'handler')
    expect(message.split('\n')).toEqual([
      'job "a" has 3 problems:',
      expect.stringContaining('unknown option "shop"; the options are id, description'),
      '  its handler is "handler"; expected a function (ctx, resources) => …',
      '  overlap is "queue"; expected one of allow, skip, bufferOne, bufferAll, cancelOther',
    ])
  })

  it('keeps the code that all its problems share', () => {
    expect(define({ id: 'a', timeout: 5, every: 'x' }).code).toBe('DURATION_INVALID')
    expect(define({ id: 'a', cron: 'x', timezone: 'y' }).code).toBe('SCHEDULE_INVALID')
    expect(define({ id: 'a', cron: 'x', timeout: 5 }).code).toBe('JOB_INVALID')
  })
})

describe('a spec that can’t be read', () => {
  it('is refused with the errors of its getters and its other problems', () => {
    const spec = throwing({ id: 'a', priority: 'x', retry: throwing({ limit: 1 }, 'base') }, 'cron', 'config')
    for (const { code, message } of refusals(spec)) {
      expect(code).toBe('JOB_INVALID')
      expect(message).toContain('job "a" has 4 problems:')
      expect(message).toContain("cron can't be read: reading it threw Error: no cron")
      expect(message).toContain("config can't be read: reading it threw Error: no config")
      expect(message).toContain("retry.base can't be read: reading it threw Error: no base")
      expect(message).toContain('priority is "x"')
    }
  })

  it('is refused without an id, as a proxy and as a list of traps', () => {
    const boom = (): never => {
      throw new Error('trap')
    }
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const spec of [throwing({}, 'id'), proxy, new Proxy({}, { get: boom, ownKeys: boom, has: boom })]) {
      for (const error of refusals(spec)) {
        expect(error.code).toBe('JOB_INVALID')
        expect(error.message).toMatch(/job undefined.*id can't be read: reading it threw (Type)?Error/s)
      }
    }
    for (const [name, value] of [
      ['windows', proxy],
      ['retry', proxy],
      ['dependsOn', proxy],
      ['cron', new Proxy(['* * * * *'], { get: boom })],
      ['exclude', new Proxy({}, { get: boom, ownKeys: boom })],
      ['config', proxy],
      ['resources', proxy],
      ['at', proxy],
      ['rate', proxy],
      ['concurrency', proxy],
      ['misfire', proxy],
      ['misfire', Object.create(null)],
      ['items', new Proxy({}, { get: boom, ownKeys: boom })],
      ['items', throwing({}, 'page')],
      ['items', { page: { run: noop, lanes: new Proxy({}, { ownKeys: boom }) } }],
      ['items', { page: { run: noop, retry: throwing({}, 'network') } }],
    ] as [string, unknown][])
      expect([name, define({ id: 'a', ...(name === 'windows' && { cron: '0 0 * * *' }), [name]: value }).code]).toEqual(
        [name, expect.stringMatching(/^(JOB|SCHEDULE|DURATION)_INVALID$/)],
      )
  })

  it('is read once: later answers of a getter change nothing', () => {
    let asked = 0
    const spec = Object.defineProperty({ id: 'a' }, 'every', {
      enumerable: true,
      get: () => (asked++ === 0 ? '1h' : 'x'),
    })
    const made = defineJob(spec as JobSpec, noop)
    expect([made.spec.every, asked]).toEqual(['1h', 1])
  })
})

describe('several wrong jobs', () => {
  const cron: string = 'x'
  class Orders {
    @job({ id: 'load', overlap: 'queue', prio: 1 } as unknown as JobSpec)
    load(): void {}
    @job({ id: 'fine' })
    fine(): void {}
    @job({ id: 'store', cron })
    store(): void {}
  }
  class Shops {
    @job(throwing({} as JobSpec, 'id'))
    sync(): void {}
  }
  class Empty {}

  it('are all named, each by class and method', () => {
    const error = thrown(() => JobRegistry.of([Orders, Shops, Empty]))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toContain('4 errors in the definitions of jobs:')
    for (const part of [
      'Orders.load: job "load" has 2 problems:',
      'unknown option "prio"',
      'overlap is "queue"',
      'Orders.store: job "store": cron is "x"',
      'Shops.sync: job undefined: id can',
      'class Empty has no method with @job',
    ])
      expect(error.message).toContain(part)
    expect(thrown(() => jobsOf(Orders)).message).toMatch(/2 errors.*Orders\.load.*Orders\.store/s)
  })
})
