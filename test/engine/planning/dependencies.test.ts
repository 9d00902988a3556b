import { expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import { eventually, Gate, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { thrown } from '../../support/thrown.ts'
import type { OnUpstreamChange } from '../../../src/job/upstream.ts'

const HOUR_MS = 3_600_000
// The clocks of Rome go forward in this month, so its 29th has 23 hours.
const START = '2026-02-28T23:00:00Z'
const END = '2026-03-31T22:00:00Z'
const timezone = 'Europe/Rome'
const text = (date: Date) => date.toISOString().replace(':00.000Z', 'Z')

describeEachStore((fixture) => {
  const fresh = async () => {
    await fixture.open()
    await fixture.empty()
  }

  it('a failed hour delays its day and month, which report this and run once it has succeeded', async () => {
    await fresh()
    const bad = '2026-03-29T01:00Z'
    let isMended = false
    const ran: string[] = []
    const windows = { start: START, end: END, parallel: 50 } as const
    const hourly = defineJob({ id: 'hourly', cron: '0 * * * *', windows }, (ctx) => {
      if (!isMended && text(ctx.window.start) === bad) throw new Error('no data yet')
    })
    const daily = defineJob({ id: 'daily', cron: '0 0 * * *', timezone, windows, dependsOn: [hourly] }, (ctx) => {
      ran.push(`day ${text(ctx.window.start)}`)
      return (ctx.window.end.getTime() - ctx.window.start.getTime()) / HOUR_MS
    })
    const monthly = defineJob(
      { id: 'monthly', cron: '0 0 1 * *', timezone, windows, dependsOn: ['daily', { id: 'hourly' }] },
      (ctx) => void ran.push(`month ${text(ctx.window.start)}`),
    )
    const app = await startApp(fixture.options, [monthly, daily, hourly], { settings: { piko: { concurrency: 100 } } })
    await eventually(async () => {
      expect((await app.windows.summary('daily')).counts).toMatchObject({ succeeded: 30, waiting: 1 })
      expect((await app.windows.summary('hourly')).counts).toMatchObject({ succeeded: 742, failed: 1 })
    })
    expect(ran).not.toContain('day 2026-03-28T23:00Z')
    const [day] = await app.windows.list('daily', { state: 'waiting' })
    expect(day).toMatchObject({ start: new Date('2026-03-28T23:00:00Z'), end: new Date('2026-03-29T22:00:00Z') })
    expect(day?.waitsFor).toEqual({ jobId: 'hourly', at: new Date(bad) })
    const [failed] = await app.windows.list('hourly', { state: 'failed' })
    expect((await app.jobs.why('daily')).sentence).toBe(
      `daily at 2026-03-29T22:00:00Z, the tick of window 2026-03-28T23:00:00Z to 2026-03-29T22:00:00Z, 2026-03-29 (Europe/Rome): ` +
        `it waits for the window of hourly from 2026-03-29T01:00:00Z to 2026-03-29T02:00:00Z, ` +
        `which is failed (run ${failed?.runId}: no data yet).`,
    )
    await eventually(async () =>
      expect((await app.jobs.why('monthly')).sentence).toMatch(
        /waits for the window of daily from 2026-03-28T23:00:00Z.*which is waiting/,
      ),
    )

    isMended = true
    const mended = Date.now()
    await app.runs.replay({ jobId: 'hourly' })
    await eventually(async () => expect((await app.windows.summary('monthly')).counts.succeeded).toBe(1))
    expect(Date.now() - mended).toBeLessThan(60_000)
    expect(ran.at(-2)).toBe('day 2026-03-28T23:00Z')
    expect(ran.at(-1)).toBe(`month ${text(new Date(START))}`)
    const short = await app.windows.list('daily', { from: new Date('2026-03-28T23:00:00Z'), limit: 1 })
    const run = await app.runs.show(short[0]?.runId ?? 0)
    expect(run).toMatchObject({ output: 23, kind: 'dependency', tick: new Date('2026-03-29T22:00:00Z') })
  })

  const DAY = '2026-01-01T00:00:00Z'
  const NEXT = '2026-01-03T00:00:00Z'
  const chain = (onUpstreamChange: OnUpstreamChange, handlers: { day?: () => unknown; week?: () => unknown } = {}) => {
    const windows = { start: DAY, end: NEXT, parallel: 10 } as const
    return [
      defineJob({ id: 'half', cron: '0 0,12 * * *', windows }, () => {}),
      defineJob({ id: 'day', cron: '0 0 * * *', windows, dependsOn: ['half'], onUpstreamChange }, () =>
        handlers.day?.(),
      ),
      defineJob({ id: 'both', cron: '0 0 */2 * *', windows, dependsOn: ['day'], onUpstreamChange }, () =>
        handlers.week?.(),
      ),
    ]
  }

  it('marks dependents of a window that runs again as stale, and a backfill of missing windows runs them', async () => {
    await fresh()
    const app = await startApp(fixture.options, chain('stale'))
    await eventually(async () => expect((await app.windows.summary('both')).counts.succeeded).toBe(1))
    await app.run('half', { window: '2026-01-01T12:00:00Z', wait: true })
    expect((await app.windows.list('day')).map(({ state }) => state)).toEqual(['stale', 'succeeded'])
    expect((await app.windows.summary('day')).watermark).toEqual(new Date(DAY))
    expect((await app.windows.summary('both')).counts).toMatchObject({ succeeded: 1, stale: 0 })
    const status = await (await app.backfills.create('day', { from: DAY, to: NEXT })).wait()
    expect(status).toMatchObject({ state: 'succeeded', planned: 1, passed: 1, succeeded: 1 })
    expect((await app.windows.summary('both')).counts).toMatchObject({ succeeded: 0, stale: 1 })
  })

  it('runs all direct and indirect dependents of a window again when it runs again', async () => {
    await fresh()
    const counts = { day: 0, week: 0 }
    const app = await startApp(fixture.options, chain('rerun', { day: () => counts.day++, week: () => counts.week++ }))
    await eventually(async () => expect((await app.windows.summary('both')).counts.succeeded).toBe(1))
    expect(counts).toEqual({ day: 2, week: 1 })
    await app.run('half', { window: DAY, wait: true })
    await eventually(() => expect(counts).toEqual({ day: 3, week: 2 }))
    await eventually(async () => expect((await app.windows.summary('both')).counts.succeeded).toBe(1))
    expect((await app.windows.summary('day')).counts).toMatchObject({ succeeded: 2, waiting: 0 })
  })

  it('runs a window again that was running while its upstream window ran again', async () => {
    await fresh()
    const gate = new Gate()
    let days = 0
    const app = await startApp(fixture.options, chain('rerun', { day: () => (days++ === 0 ? gate.pass() : undefined) }))
    await eventually(() => expect(days).toBeGreaterThanOrEqual(2))
    const before = days
    for (const start of [DAY, '2026-01-02T00:00:00Z']) await app.run('half', { window: start, wait: true })
    gate.open()
    await eventually(async () =>
      expect((await app.windows.summary('day')).counts).toMatchObject({ succeeded: 2, waiting: 0 }),
    )
    await eventually(async () => expect((await app.windows.summary('both')).counts.succeeded).toBe(1))
    expect(days).toBe(before + 2)
  })

  it('a backfill of a dependent job waits for other jobs, and its cancel ends the wait', async () => {
    await fresh()
    const windows = { start: DAY, end: NEXT, catchUp: 'none', parallel: 10 } as const
    const seen: string[] = []
    const app = await startApp(fixture.options, [
      defineJob({ id: 'half', cron: '0 0,12 * * *', windows }, () => {}),
      defineJob(
        { id: 'day', cron: '0 0 * * *', windows, dependsOn: ['half'] },
        (ctx) => void seen.push(text(ctx.window.start)),
      ),
    ])
    const days = await app.backfills.create('day', { from: DAY, to: NEXT })
    await eventually(async () => expect(await days.status()).toMatchObject({ waiting: 2, queued: 0 }))
    await (await app.backfills.create('half', { from: DAY, to: '2026-01-02T00:00:00Z' })).wait()
    await eventually(() => expect(seen).toEqual(['2026-01-01T00:00Z']))
    await days.cancel()
    expect(await days.wait()).toMatchObject({ state: 'cancelled', succeeded: 1, cancelled: 1 })
  })

  it('a dependency removed from the code has no effect', async () => {
    await fresh()
    const app = await startApp(fixture.options, chain('rerun'))
    await eventually(async () => expect((await app.windows.summary('both')).counts.succeeded).toBe(1))
    await app.stop()
    const again = await startApp(fixture.options, chain('ignore'))
    await again.run('half', { window: DAY, wait: true })
    expect((await again.windows.summary('day')).counts).toMatchObject({ succeeded: 2, waiting: 0, stale: 0 })
  })
})

const windows = { start: '2026-01-01T00:00:00Z' } as const
const job = (id: string, dependsOn: readonly string[], more: object = { windows, cron: '0 * * * *' }) =>
  defineJob({ id, dependsOn, ...more }, () => {})

it.each([
  ['a circle, which is printed', () => [job('a', ['c']), job('b', ['a']), job('c', ['b'])], /a → c → b → a/],
  ['a job that depends on itself', () => [job('a', ['a'])], /a → a/],
  ['an id that no job has', () => [job('a', ['nobody'])], /"a" depends on "nobody", and no job has that id/],
  [
    'an upstream without windows',
    () => [job('a', ['b']), defineJob({ id: 'b' }, () => {})],
    /"b", which has no windows/,
  ],
])('refuses %s', (_, jobs, message) => {
  const error = thrown(() => JobRegistry.of(...jobs()))
  expect(error.code).toBe('DEPENDENCY_INVALID')
  expect(error.message).toMatch(message)
})

it('refuses dependencies of a job without windows, and invalid options', () => {
  expect(thrown(() => job('a', ['b'], {}))).toMatchObject({ code: 'JOB_INVALID' })
  expect(thrown(() => defineJob({ id: 'a', onUpstreamChange: 'rerun' }, () => {}))).toMatchObject({
    code: 'JOB_INVALID',
  })
  expect(thrown(() => job('a', [7 as never]))).toMatchObject({
    message: expect.stringMatching(/dependsOn has 7/) as string,
  })
})

it('accepts a chain of 5,000 jobs', () => {
  const chain = Array.from({ length: 5_000 }, (_, index) => job(`j${index}`, index > 0 ? [`j${index - 1}`] : []))
  expect(JobRegistry.of(...chain.reverse()).size).toBe(5_000)
})
