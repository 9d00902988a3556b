import { defineJob, job } from 'piko'
import { simulate } from 'piko/testing'
import { expect, it } from 'vitest'

it('a simulation lists the ticks of a day with a change of clocks, and the windows due at them', () => {
  const daily = defineJob(
    {
      id: 'daily',
      cron: '30 2 * * *',
      timezone: 'Europe/Berlin',
      windows: { start: '2026-03-01', grid: '0 0 * * *' },
    },
    () => {},
  )
  const { ticks, windows, next } = simulate(daily, { from: '2026-03-28', to: { date: '2026-03-31' } })
  expect(ticks.map(({ local, offset, transition }) => [local, offset, transition])).toEqual([
    ['2026-03-28T02:30:00', '+01:00', null],
    ['2026-03-29T03:00:00', '+02:00', 'gap'],
    ['2026-03-30T02:30:00', '+02:00', null],
  ])
  expect(windows.map(({ start, end, due }) => [start, end, due].map((one) => one.toISOString()))).toEqual([
    ['2026-03-26T23:00:00.000Z', '2026-03-27T23:00:00.000Z', '2026-03-28T01:30:00.000Z'],
    ['2026-03-27T23:00:00.000Z', '2026-03-28T23:00:00.000Z', '2026-03-29T01:00:00.000Z'],
    ['2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z', '2026-03-30T00:30:00.000Z'],
  ])
  expect(next).toBeUndefined()
})

it('a simulation includes its first instant, excludes its end, and continues after its limit', () => {
  const every = defineJob({ id: 'every', every: '1m' }, () => {})
  const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
  const all = simulate(every, range)
  expect([all.ticks.length, all.windows.length, all.ticks.at(-1)?.local]).toEqual([1_440, 0, '2026-01-01T23:59:00'])
  const first = simulate(every, { ...range, limit: 1_000 })
  expect(first.ticks.length).toBe(1_000)
  const rest = simulate(every, { ...range, from: first.next as Date, limit: 440 })
  expect([...first.ticks, ...rest.ticks]).toEqual(all.ticks)
  expect(rest.next).toBeUndefined()
})

class Jobs {
  @job({ id: 'once', at: '2026-05-01T00:00:00Z' })
  once(): void {}
  @job({ id: 'manual' })
  manual(): void {}
}

it('a simulation takes a class with decorated methods, and says what is wrong', () => {
  const range = { from: '2026-01-01', to: '2027-01-01' }
  expect(simulate(Jobs, { ...range, id: 'once' }).ticks.map(({ at }) => at.toISOString())).toEqual([
    '2026-05-01T00:00:00.000Z',
  ])
  expect(() => simulate(Jobs, range)).toThrow(
    'the class has several jobs; expected the option id with one of "once", "manual"',
  )
  expect(() => simulate(Jobs, { ...range, id: 'manual' })).toThrow('job "manual" has no schedule')
  expect(() => simulate({}, range)).toThrow(
    'expected a job that defineJob returned, or a class or an instance with @job',
  )
  expect(() => simulate(Jobs, { from: '2026-02-30', to: 7 as never, limit: 0 })).toThrow(
    /from is "2026-02-30"; expected .*to is 7; expected .*limit is 0; expected/s,
  )
  expect(() => simulate(Jobs, { from: '2026-01-02', to: '2026-01-02', id: 'once' })).toThrow('is not after from')
})
