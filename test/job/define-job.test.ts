import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, isJobDefinition, jobSpec } from '../../src/job/define-job.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import { thrown } from '../support/thrown.ts'

const noop = (): void => undefined
const define = (spec: object) => defineJob(spec as JobSpec, noop)
const windows = { start: '2026-01-01T00:00:00Z' }

describe('a defined job', () => {
  it('has every default filled in', () => {
    const made = defineJob({ id: 'hello' }, noop)
    expect(made).toMatchObject({ kind: 'piko.job', id: 'hello', description: undefined })
    expect(made.policy).toEqual({
      schedule: undefined,
      windows: undefined,
      retry: { limit: 0, backoff: 'exponential', baseMs: 1_000, maxMs: 300_000, jitter: true },
      timeoutMs: undefined,
      jitterMs: 0,
      misfireGraceMs: 300_000,
      misfireLimit: 0,
      overlap: 'allow',
      limits: undefined,
      dependsOn: [],
      onUpstreamChange: 'ignore',
      hooks: {},
      concurrencyKey: undefined,
      rateKey: undefined,
      priority: 0,
    })
  })

  it('has every option parsed', () => {
    const made = defineJob(
      {
        id: 'orders/sync:eu.1-a_b',
        description: 'Orders of the last hour',
        cron: '0 * * * *',
        timezone: 'Europe/Berlin',
        windows: { ...windows, end: new Date('2027-01-01'), catchUp: 'latest', parallel: 4 },
        config: z.object({ shop: z.string() }),
        retry: { limit: 5, backoff: 'fixed', base: '2s', max: '1m', jitter: false },
        timeout: '90m',
        misfireGraceTime: '1d',
        overlap: 'skip',
        concurrency: 8,
        dependsOn: ['other', { id: 'third' }, 'other'],
        onUpstreamChange: 'stale',
        deadline: '2h',
        onLate: noop,
        priority: -5,
      },
      noop,
    )
    expect(made.description).toBe('Orders of the last hour')
    expect(made.policy).toEqual({
      schedule: { kind: 'cron', cron: '0 * * * *', timezone: 'Europe/Berlin' },
      windows: { start: new Date('2026-01-01'), end: new Date('2027-01-01'), catchUp: 'latest', parallel: 4 },
      retry: { limit: 5, backoff: 'fixed', baseMs: 2_000, maxMs: 60_000, jitter: false },
      timeoutMs: 5_400_000,
      jitterMs: 0,
      misfireGraceMs: 86_400_000,
      misfireLimit: 0,
      overlap: 'skip',
      limits: { concurrency: 8, parallel: 4 },
      dependsOn: ['other', 'third'],
      onUpstreamChange: 'stale',
      deadlineMs: 7_200_000,
      hooks: { onLate: noop },
      priority: -5,
    })
  })

  it.each([
    ['cron in UTC', { cron: '5 4 * * *' }, { kind: 'cron', cron: '5 4 * * *', timezone: 'UTC' }],
    ['a rate from the epoch', { every: '10s' }, { kind: 'every', everyMs: 10_000, anchor: '1970-01-01T00:00:00.000Z' }],
    [
      'a rate from the first window',
      { every: '1h', windows: { start: '2026-01-01T00:30:00+01:00' } },
      { kind: 'every', everyMs: 3_600_000, anchor: '2025-12-31T23:30:00.000Z' },
    ],
    ['once', { at: '2026-01-01T01:00:00+01:00' }, { kind: 'at', at: '2026-01-01T00:00:00.000Z' }],
    ['once, by a Date', { at: new Date(0) }, { kind: 'at', at: '1970-01-01T00:00:00.000Z' }],
  ])('has the schedule of its spec: %s', (_what, spec, schedule) => {
    expect(define({ id: 'a', ...spec }).policy.schedule).toEqual(schedule)
  })

  it.each([
    ['no limit', {}, undefined],
    ['concurrency', { concurrency: 3 }, { concurrency: 3 }],
    ['windows one by one', { every: '1h', windows }, { parallel: 1 }],
    ['both', { every: '1h', windows: { ...windows, parallel: 5 }, concurrency: 3 }, { parallel: 5, concurrency: 3 }],
  ])('limits its runs under way: %s', (_what, spec, limits) => {
    expect(define({ id: 'a', ...spec }).policy.limits).toEqual(limits)
  })

  it("can't be changed", () => {
    const spec: { id: string; every: '1h' | '2h'; windows: typeof windows } = { id: 'a', every: '1h', windows }
    const made = defineJob(spec, noop)
    spec.every = '2h'
    expect(made.spec.every).toBe('1h')
    for (const part of [made, made.spec, made.policy, made.policy.retry, made.policy.windows]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('calls its handler with context and resources', async () => {
    const made = defineJob({ id: 'a' }, async (ctx, resources) => [ctx.attempt, resources])
    expect(await made.handler({ attempt: 3 } as never, { db: 1 })).toEqual([3, { db: 1 }])
  })

  it('is recognised, and no other value is', () => {
    expect(isJobDefinition(defineJob({ id: 'a' }, noop))).toBe(true)
    for (const other of [null, undefined, 'piko.job', {}, { kind: 'other' }, noop]) {
      expect(isJobDefinition(other)).toBe(false)
    }
  })
})

describe('jobSpec', () => {
  it('returns the same spec', () => {
    const spec = { id: 'a' }
    expect(jobSpec(spec)).toBe(spec)
  })
})

describe('defineJob refuses', () => {
  const id = 'its id must be 1 to 128 letters, digits or any of _ - . : /'
  const instant = 'expected an instant with its zone, such as "2026-01-01T00:00:00Z" or "2026-01-01T01:00:00+01:00"'
  const february = 'expected a day that exists: 2026-02 has 28 days'
  const text = (what: string, value: string) =>
    `${what} is ${value}; expected a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"`

  it.each<[Record<string, unknown>, string]>([
    [{}, `job undefined: ${id}`],
    [{ id: '' }, `job "": ${id}`],
    [{ id: 'two words' }, `job "two words": ${id}`],
    [{ id: 42 }, `job 42: ${id}`],
    [{ id: 'x'.repeat(129) }, `job "${'x'.repeat(117)}…": ${id}`],
    [
      { id: 'a', shop: 'eu' },
      'job "a": unknown option "shop"; the options are id, description, cron, every, at, timezone, dst, start, end, exclude, jitter, windows, config, input, output, ' +
        'resources, sinks, retry, timeout, misfireGraceTime, misfire, misfireLimit, overlap, concurrency, rate, dependsOn, onUpstreamChange, priority, proof, deadline, onFailure, onLate, onRecovered, items, tolerate, limits',
    ],
    [
      { id: 'a', overlap: 'queue' },
      'job "a": overlap is "queue"; expected one of allow, skip, bufferOne, bufferAll, cancelOther',
    ],
    [{ id: 'a', config: 42 }, 'job "a": config is 42; expected a zod schema'],
    [{ id: 'a', config: null }, 'job "a": config is null; expected a zod schema'],
    [{ id: 'a', config: { shop: 'eu' } }, 'job "a": config is {"shop":"eu"}; expected a zod schema'],
    [
      { id: 'a', cron: '* * * * *', every: '1h' },
      'job "a": it has cron and every; expected at most one of cron, every, at',
    ],
    [{ id: 'a', windows }, 'job "a": its windows need a schedule whose ticks end them: cron, every or windows.grid'],
    [
      { id: 'a', at: new Date(0), windows },
      'job "a": its windows need a schedule whose ticks end them: cron, every or windows.grid',
    ],
    [{ id: 'a', every: '1h', timezone: 'UTC' }, 'job "a": timezone "UTC" has no effect without cron'],
    [{ id: 'a', deadline: '2h' }, 'job "a": deadline "2h" has no effect without windows or a schedule'],
    [
      { id: 'a', every: '1h', onLate: () => {} },
      'job "a": onLate has no effect without deadline; add one, such as deadline: \'2h\'',
    ],
    [{ id: 'a', at: '2026-01-01' }, `job "a": at is "2026-01-01"; ${instant}`],
    [{ id: 'a', at: '2026-13-01T00:00:00Z' }, `job "a": at is "2026-13-01T00:00:00Z"; expected a month from 01 to 12`],
    [{ id: 'a', at: 0 }, `job "a": at is 0; ${instant.replace('an', 'a Date, or an')}`],
    [{ id: 'a', at: new Date('x') }, 'job "a": at is an invalid Date; expected a valid Date'],
    [{ id: 'a', every: '1h', start: '2026-02-30T00:00:00Z' }, `job "a": start is "2026-02-30T00:00:00Z"; ${february}`],
    [{ id: 'a', every: '1h', end: '2026-02-30T00:00:00Z' }, `job "a": end is "2026-02-30T00:00:00Z"; ${february}`],
    [
      { id: 'a', every: '1h', windows: { start: '2026-02-30T00:00:00Z' } },
      `job "a": windows.start is "2026-02-30T00:00:00Z"; ${february}`,
    ],
    [
      { id: 'a', every: '1h', windows: { ...windows, end: '2026-02-30T00:00:00Z' } },
      `job "a": windows.end is "2026-02-30T00:00:00Z"; ${february}`,
    ],
    [
      { id: 'a', every: '1h', windows: {} },
      `job "a": windows.start is undefined; ${instant.replace('an', 'a Date, or an')}`,
    ],
    [
      { id: 'a', every: '1h', windows: { ...windows, end: windows.start } },
      'job "a": windows.end 2026-01-01T00:00:00.000Z is not after windows.start 2026-01-01T00:00:00.000Z',
    ],
    [
      { id: 'a', every: '1h', windows: { ...windows, catchUp: true } },
      'job "a": windows.catchUp is true; expected one of all, latest, none',
    ],
    [
      { id: 'a', every: '1h', windows: { ...windows, parallel: 0 } },
      'job "a": windows.parallel is 0; expected 1 or more',
    ],
    [{ id: 'a', concurrency: 0 }, 'job "a": concurrency is 0; expected 1 or more'],
    [{ id: 'a', concurrency: 1.5 }, 'job "a": concurrency is 1.5; expected a whole number'],
    [{ id: 'a', priority: '1' }, 'job "a": priority is "1"; expected a whole number from -32768 to 32767'],
    [{ id: 'a', retry: { limit: -1 } }, 'job "a": retry.limit is -1; expected 0 or more'],
    [{ id: 'a', retry: {} }, 'job "a": retry.limit is undefined; expected 0 or more'],
    [{ id: 'a', retry: { limit: '3' } }, 'job "a": retry.limit is "3"; expected a whole number'],
    [
      { id: 'a', retry: { limit: 1, backoff: 'linear' } },
      'job "a": retry.backoff is "linear"; expected one of fixed, exponential',
    ],
  ])('%j', (spec, message) => {
    const error = thrown(() => define(spec))
    expect(error.message).toBe(message)
    expect(error.code).toBe('JOB_INVALID')
    expect(error.details).toEqual({ jobId: spec['id'] })
  })

  it.each([
    [{ id: 'a', every: 10 }, text('every of job "a"', '10')],
    [{ id: 'a', timeout: '10' }, text('timeout of job "a"', '"10"')],
    [{ id: 'a', misfireGraceTime: 'soon' }, text('misfireGraceTime of job "a"', '"soon"')],
    [{ id: 'a', retry: { limit: 1, base: '-1s' } }, text('retry.base of job "a"', '"-1s"')],
    [{ id: 'a', retry: { limit: 1, max: '' } }, text('retry.max of job "a"', '""')],
  ])('the duration in %j', (spec, message) => {
    const error = thrown(() => define(spec))
    expect([error.code, error.message]).toEqual(['DURATION_INVALID', message])
  })

  it.each([
    { id: 'a', cron: 'every day' },
    { id: 'a', cron: '* * * * *', timezone: 'Europe/Atlantis' },
    { id: 'a', every: '0s' },
  ])('the schedule in %j', (spec) => {
    const error = thrown(() => define(spec))
    expect(error.code).toBe('SCHEDULE_INVALID')
    expect(error.message).toContain('job "a"')
  })

  it.each([undefined, null, 'async () => {}', {}])('%j as the handler', (handler) => {
    const error = thrown(() => defineJob({ id: 'a' }, handler as () => void))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toMatch(/^job "a": its handler is .*; expected a function \(ctx, resources\) => …$/)
  })

  it('a value that is not a spec', () => {
    const error = thrown(() => define(undefined as never))
    expect([error.code, error.message]).toEqual([
      'JOB_INVALID',
      "a job's spec is undefined; expected an object such as { id: 'hello' }",
    ])
  })
})
