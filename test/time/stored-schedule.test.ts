import { expect, it } from 'vitest'
import { Schedule, scheduleJson, type ScheduleSpec } from '../../src/time/schedule.ts'
import { defaultsOf, storedDefaults, storedSchedule } from '../../src/time/stored-schedule.ts'
import { thrown } from '../support/thrown.ts'

const EPOCH = '1970-01-01T00:00:00.000Z'

it.each<[string, string, Parameters<typeof storedSchedule>[1], object]>([
  ['a bare cron expression', ' 0 6 * * 1-5 ', {}, { kind: 'cron', cron: '0 6 * * 1-5', timezone: 'UTC' }],
  [
    'one in the zone of the code',
    '@daily',
    { timezone: 'Europe/Rome' },
    { kind: 'cron', cron: '@daily', timezone: 'Europe/Rome' },
  ],
  [
    'JSON without a zone',
    '{"kind":"cron","cron":"0 * * * *"}',
    { timezone: 'Europe/Rome' },
    { cron: '0 * * * *', timezone: 'Europe/Rome' },
  ],
  ['JSON with its own', '{"kind":"cron","cron":"0 * * * *","timezone":"UTC"}', { timezone: 'X' }, { timezone: 'UTC' }],
  [
    'a rate without an anchor',
    '{"kind":"every","everyMs":60000}',
    {},
    { kind: 'every', everyMs: 60_000, anchor: EPOCH },
  ],
])('reads %s', (_, text, defaults, expected) => {
  expect(storedSchedule(text, defaults)).toMatchObject(expected)
})

it.each([
  ['', /schedule|cron is ""/],
  ['every day', /cron is "every day"; expected five fields/],
  ['{bad', /^job "report": schedule is "\{bad"; expected a cron expression, or JSON such as .*; correct it: /],
  ['{}', /kind is undefined/],
  ['{"kind":"every","everyMs":"10s"}', /everyMs is "10s"/],
  ['{"kind":"cron","cron":"0 * * * *","timezone":"Mars/Base"}', /timezone is "Mars\/Base"/],
  ['{"kind":"cron","cron":"0 * * * *","exclude":{"weekdays":["Sat"]}}', /exclude is "Sat"/],
  ['0 0 31 2 *', /a date that occurs at least once/],
])('refuses %j', (text, message) => {
  const error = thrown(() => storedSchedule(text, {}, 'report'))
  expect(error.code).toBe('SCHEDULE_INVALID')
  expect(error.message).toMatch(message)
})

it('aligns a rate to the first window, and refuses a single instant for a job with windows', () => {
  const defaults = storedDefaults({ codeSchedule: null, windows: '{"start":"2026-01-01T00:30:00.000Z"}' })
  expect(storedSchedule('{"kind":"every","everyMs":3600000}', defaults)).toMatchObject({
    anchor: '2026-01-01T00:30:00.000Z',
  })
  const error = thrown(() => storedSchedule('{"kind":"at","at":"2027-01-01T00:00:00Z"}', defaults, 'report'))
  expect(error.message).toBe(
    'job "report": at is "2027-01-01T00:00:00Z"; expected cron or every; windows need ticks that repeat',
  )
})

it('uses the calendar’s function from the code, if the code has one', () => {
  const noon = (hour: string): ScheduleSpec => ({
    kind: 'cron',
    cron: '0 * * * *',
    timezone: 'UTC',
    exclude: { dates: ['2026-01-02'], when: (_, local) => local.time.startsWith(hour) },
  })
  const [at12, at13] = [noon('12'), noon('13')]
  const text = scheduleJson(at12)
  expect(scheduleJson(at13)).toBe(text)
  const next = (spec: ScheduleSpec): string | undefined =>
    Schedule.of(spec).next(new Date('2026-01-01T11:00:00Z'))?.toISOString()
  expect(next(storedSchedule(text, defaultsOf(at12)))).toBe('2026-01-01T13:00:00.000Z')
  // The same text with another function is a different schedule.
  expect(next(storedSchedule(text, defaultsOf(at13)))).toBe('2026-01-01T12:00:00.000Z')
  const without = storedSchedule(text, storedDefaults({ codeSchedule: text, windows: null }))
  expect(without).toMatchObject({ exclude: { dates: ['2026-01-02'] } })
  expect(next(without)).toBe('2026-01-01T12:00:00.000Z')
})
