import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import type { Piko } from '../../src/app/piko.ts'
import { OwnPlans } from '../../src/engine/planning/own-plans.ts'
import { Registration } from '../../src/engine/planning/registration.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import type { JobDefinition } from '../../src/job/spec.ts'
import { storeOn } from '../../src/store/store.ts'
import { Schedule } from '../../src/time/schedule.ts'
import { type EventMap, Events } from '../../src/events.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually, makeApp, nextEvent, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected, thrown } from '../support/thrown.ts'

const BOOM = new TypeError('no such field')
const boom = (): never => {
  throw BOOM
}
const define = (spec: object, handler: () => unknown = () => {}): JobDefinition => defineJob(spec as JobSpec, handler)

/** Results of functions that should return a boolean, and how the error shows them. */
const NO_DECISION: [string, () => unknown, RegExp][] = [
  ['throws', boom, /threw TypeError: no such field; /],
  // oxlint-disable-next-line typescript/only-throw-error -- as users may
  ['throws undefined', () => { throw undefined }, /threw undefined; /], // prettier-ignore
  ['resolves', () => Promise.resolve(true), /returned a promise; expected true or false immediately/],
  ['rejects', () => Promise.reject(BOOM), /returned a promise; expected true or false immediately/],
  ['says nothing', () => undefined, /returned undefined; expected true or false;/],
  ['says a string', () => 'no', /returned "no"; expected true or false;/],
]

const NO_KEY: [string, () => unknown, RegExp][] = [
  ['throws', boom, /threw TypeError: no such field; /],
  [
    'resolves',
    () => Promise.resolve('a'),
    /returned a promise; expected a string of 1 to 128 characters .* immediately/,
  ],
  ['rejects', () => Promise.reject(BOOM), /returned a promise; /],
  ['says a number', () => 7, /returned 7; expected a string of 1 to 128 characters/],
  ['says null', () => null, /returned null; expected a string/],
  ['says an object', () => ({ toString: boom }), /returned .*; expected a string/],
]

const DAYS = { start: '2026-01-01T00:00:00Z', end: '2026-01-04T00:00:00Z' }

/** The first loop failure that names this job. */
const failureOf = (app: Piko, jobId: string): Promise<EventMap['loop.failed']> =>
  nextEvent(app, 'loop.failed', ({ error }) => error.message.includes(`job "${jobId}"`))

describe('a calendar with a function', () => {
  it.each(NO_DECISION)('is named with its job and option when it %s', (_what, when, message) => {
    const schedule = Schedule.of(
      { kind: 'every', everyMs: 1_000, anchor: '2026-01-01T00:00:00Z', exclude: { when: when as () => boolean } },
      'a',
    )
    for (const ask of [() => schedule.next(new Date(0)), () => schedule.previous(new Date(0))]) {
      const error = thrown(ask)
      expect(error.code).toBe('JOB_INVALID')
      expect(error.message).toMatch(/^exclude of job "a" /)
      expect(error.message).toMatch(message)
      expect(error.details).toEqual({ jobId: 'a', option: 'exclude' })
    }
  })

  it('has its own error as the cause', () => {
    const schedule = Schedule.of({
      ...{ kind: 'every', everyMs: 1_000, anchor: '2026-01-01T00:00:00Z' },
      exclude: { when: boom },
    })
    expect(thrown(() => schedule.next(new Date(0))).cause).toBe(BOOM)
  })
})

describe("a job's schema", () => {
  it.each([
    ['a default that throws', z.object({ shop: z.string().default(boom) }), /the schema throws here: no such field/],
    ['a safeParse that throws', { safeParse: boom }, /config: the schema throws here: no such field/],
    [
      'an asynchronous safeParse',
      { safeParse: () => Promise.reject(BOOM) },
      /safeParse of the schema returned a promise/,
    ],
    ['a safeParse that says nothing', { safeParse: () => undefined }, /safeParse of the schema returned undefined/],
    ['an answer without issues', { safeParse: () => ({ success: false }) }, /safeParse of the schema returned \{/],
  ])('%s is refused with an error that names the job', async (_what, config, message) => {
    const { parseConfig } = await import('../../src/job/schemas/run-config.ts')
    const error = thrown(() => parseConfig(define({ id: 'a', config }), {}))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain('of job "a"')
    expect(error.message).toMatch(message)
    if (/throws/.test(_what)) expect(error.cause).toBe(BOOM)
  })
})

describeEachStore((fixture) => {
  const emptied = async (): Promise<void> => {
    await fixture.open()
    await fixture.empty()
  }

  it.each(NO_DECISION)('an exclude that %s at start leaves out only its job', async (_what, when, message) => {
    await emptied()
    const bad = ['cron', 'windows', 'every']
    const app = makeApp(fixture.options, [
      define({ id: 'cron', cron: '* * * * *', exclude: when }),
      define({ id: 'windows', cron: '0 0 * * *', windows: DAYS, exclude: { when } }),
      define({ id: 'every', every: '1s', exclude: when }),
      define({ id: 'good', every: '1s' }),
      define({ id: 'daily', cron: '0 0 * * *', windows: DAYS, exclude: () => false }),
    ])
    const failures = recordEvents(app, 'loop.failed')
    const ran = ['good', 'daily'].map((id) => nextEvent(app, 'run.settled', ({ jobId }) => jobId === id))
    await app.start()
    await Promise.all(ran)
    for (const id of bad) {
      const error = failures.map((failure) => failure.error).find((one) => one.message.includes(`job "${id}"`))
      expect(error).toMatchObject({ code: 'JOB_INVALID', details: { jobId: id, option: 'exclude' } })
      expect(error?.message).toMatch(message)
      if (when === boom) expect(error?.cause).toBe(BOOM)
      expect(await app.runs.list({ jobId: id })).toEqual([])
    }
    expect(await app.run('cron', { wait: true })).toMatchObject({ state: 'succeeded' })
  })

  it('registers the job once its function works, and reports it until then', async () => {
    const clock = new ManualClock('2026-01-01T00:00:30Z')
    const database = await fixture.open({ clock })
    await fixture.empty()
    const store = storeOn(database)
    const events = new Events()
    const loops = new LoopHealth({ clock, events })
    const failed: string[] = []
    events.on('loop.failed', ({ loop, error }) => failed.push(`${loop}: ${error.message.slice(0, 25)}`))
    let isBroken = true
    const exclude = (): boolean => isBroken && boom()
    const registry = JobRegistry.of(
      define({ id: 'minutely', cron: '* * * * *', exclude }),
      define({ id: 'other', cron: '* * * * *' }),
    )
    const registration = new Registration({
      ...{ jobs: store.jobs, registry, own: new OwnPlans(), clock, loops },
      agenda: () => store.plans.agenda(),
    })
    onTestFinished(() => registration.stop())
    await registration.start()
    const ids = async (): Promise<string[]> => (await store.jobs.list()).map(({ id }) => id)
    expect(await ids()).toEqual(['other'])
    const pass = async (ms: number): Promise<void> => {
      await eventually(() => expect(clock.sleeping).toBe(1))
      clock.advance(ms)
    }
    await pass(10_000)
    await eventually(() => expect(failed).toHaveLength(2))
    expect(new Set(failed)).toEqual(new Set(['registration: exclude of job "minutely"']))
    isBroken = false
    await pass(10_000)
    await eventually(async () => expect(await ids()).toEqual(['minutely', 'other']))
    expect((await store.jobs.find('minutely'))?.nextTick).toEqual(new Date('2026-01-01T00:01:00Z'))
    expect(failed).toHaveLength(2)
  })

  it('starts at whichever call a function fails, also while a changed schedule is applied', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const store = storeOn(database)
    const clock = new ManualClock()
    let callsLeft = Infinity
    const exclude = (): boolean => callsLeft-- <= 0 && boom()
    for (let calls = -1; calls < 12; calls++) {
      const loops = new LoopHealth({ clock, events: new Events() })
      const windows = { start: '2025-01-01T00:00:00Z', catchUp: 'latest' }
      const registry = JobRegistry.of(
        define({ id: 'daily', cron: `${calls + 1} 0 * * *`, windows, exclude }),
        define({ id: 'other', cron: `${calls + 1} 0 * * *` }),
      )
      callsLeft = calls < 0 ? Infinity : calls
      const registration = new Registration({
        ...{ jobs: store.jobs, registry, own: new OwnPlans(), clock, loops },
        agenda: () => store.plans.agenda(),
      })
      await registration.start()
      await registration.stop()
      expect((await store.jobs.find('other'))?.codeSchedule).toContain(`"${calls + 1} 0 * * *"`)
    }
  })

  it.each(NO_KEY)('a key function that %s is named by every call that requests a run', async (_what, key, message) => {
    await emptied()
    const app = await startApp(fixture.options, [
      define({ id: 'concurrency', concurrency: { limit: 1, key } }),
      define({ id: 'rate', rate: { rate: '5/s', key } }),
    ])
    for (const jobId of ['concurrency', 'rate']) {
      const option = `${jobId}.key`
      const asks = {
        run: () => app.run(jobId),
        enqueue: () => app.enqueue(jobId),
        unique: () => app.enqueue(jobId, { idempotencyKey: 'a' }),
        many: () => app.enqueueMany(jobId, [{}, {}]),
        inside: () => app.sql.transaction((trx) => app.enqueue(jobId, { trx })),
      }
      for (const [how, ask] of Object.entries(asks)) {
        const error = await rejected(ask())
        expect([how, error.code]).toEqual([how, 'JOB_INVALID'])
        expect(error.message).toContain(`${option} of job "${jobId}" `)
        expect(error.message).toMatch(message)
        expect(error.details).toMatchObject({ jobId, option })
        if (key === boom) expect(error.cause).toBe(BOOM)
      }
    }
    expect(await app.runs.list()).toEqual([])
  })

  it('a key function that fails while ticks are planned delays only its job', async () => {
    await emptied()
    const app = makeApp(fixture.options, [
      define({ id: 'bad', every: '1s', concurrency: { limit: 1, key: boom } }),
      define({ id: 'worse', cron: '0 0 * * *', windows: DAYS, rate: { rate: '5/s', key: () => Promise.resolve('a') } }),
      define({ id: 'good', every: '1s', concurrency: { limit: 1, key: () => 'a' } }),
    ])
    const failures = [failureOf(app, 'bad'), failureOf(app, 'worse')]
    const ran = nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'good')
    await app.start()
    const [bad, worse] = await Promise.all(failures)
    await ran
    expect(bad?.error).toMatchObject({
      ...{ code: 'JOB_INVALID', cause: BOOM },
      details: { jobId: 'bad', option: 'concurrency.key' },
    })
    expect(worse?.error.message).toMatch(/rate\.key of job "worse" returned a promise/)
  })

  it('a key function that fails delays no dependent and no backfill of another job', async () => {
    await emptied()
    const windows = { ...DAYS, catchUp: 'none' }
    const keyed = { concurrency: { limit: 5, key: boom } }
    const app = makeApp(fixture.options, [
      define({ id: 'up', cron: '0 0 * * *', windows }),
      define({ id: 'bad', cron: '0 0 * * *', windows, dependsOn: ['up'], ...keyed }),
      define({ id: 'good', cron: '0 0 * * *', windows, dependsOn: ['up'] }),
      define({ id: 'worse', cron: '0 0 * * *', windows, ...keyed }),
    ])
    const failures = [failureOf(app, 'bad'), failureOf(app, 'worse')]
    await app.start()
    const range = { from: DAYS.start, to: DAYS.end }
    await app.backfills.create('bad', range)
    await app.backfills.create('worse', range)
    const good = await app.backfills.create('good', range)
    const up = await app.backfills.create('up', range)
    expect(await up.wait()).toMatchObject({ state: 'succeeded' })
    expect(await good.wait()).toMatchObject({ state: 'succeeded' })
    for (const failure of await Promise.all(failures))
      expect(failure?.error).toMatchObject({ code: 'JOB_INVALID', cause: BOOM })
    expect(await app.runs.list({ jobId: 'bad' })).toEqual([])
  })

  it('does not blame an edited row for a function that fails', async () => {
    await emptied()
    const database = await fixture.open()
    let isBroken = false
    const app = await startApp(fixture.options, [
      define({ id: 'edited', cron: '0 0 * * *', exclude: () => isBroken && boom() }),
    ])
    const refused = recordEvents(app, 'schedule.refused')
    const failure = failureOf(app, 'edited')
    isBroken = true
    const schedule = '{"kind":"cron","cron":"5 0 * * *","timezone":"UTC","exclude":{"when":"(function)"}}'
    await database.db.updateTable('piko_job').set({ schedule }).where('id', '=', 'edited').execute()
    expect((await failure).error).toMatchObject({ code: 'JOB_INVALID', cause: BOOM })
    expect(refused).toEqual([])
  })

  it.each(NO_DECISION)('a retryIf that %s fails its run, and the error says so', async (_what, retryIf, message) => {
    await emptied()
    const app = await startApp(fixture.options, [
      define({ id: 'a', retry: { limit: 3, base: '1ms', retryIf } }, () => {
        throw new Error('upstream is down')
      }),
    ])
    const run = await app.waitFor(await app.enqueue('a'))
    expect(run).toMatchObject({ state: 'failed', attempt: 1 })
    expect(run.error?.message).toMatch(/^upstream is down \(retry\.retryIf of job "a" /)
    expect(run.error?.message).toMatch(message)
  })
})
