import { expect, it } from 'vitest'
import { givenInstant, givenMoment } from '../../../src/api/values.ts'
import { readInstant } from '../../../src/time/instant.ts'

const TEXTS = [
  ...['2026-01-01T00:00:00Z', '2026-01-01T00:00Z', '2026-01-01T00:00:00+0200', '2026-01-01T00:00:00.123456789-03:30'],
  ...['2026-02-30T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01T00:00:00', '2026-01-01 00:00:00Z', 'Jan 15 2026'],
  ...['0001-01-01T00:00:00Z', '0999-12-31T23:59:59Z', '9999-12-31T23:59:59-01:00', '2026-01-01T00:00:00.1234567890Z'],
  ...['1', '2026', '', '2026-01-01T00:00:00+02', '2026-01-01t00:00:00z'],
]

it.each(TEXTS)('the API takes %j as an instant if the calls of the app take it', (text) => {
  const isInstant = 'date' in readInstant(text)
  expect(givenInstant.safeParse(text).success).toBe(isInstant)
  expect(givenMoment.safeParse(text).success).toBe(isInstant)
})

it('a moment may also be a day that exists', () => {
  const days = ['2024-02-29', '2026-02-29', '2026-1-1']
  expect(days.map((day) => givenMoment.safeParse(day).success)).toEqual([true, false, false])
})
