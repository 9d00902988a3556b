import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { FIRST_INSTANT_MS, instantOf, LAST_INSTANT_MS, readInstant, storedInstant } from '../../src/time/instant.ts'
import { thrown } from '../support/thrown.ts'

/** Text that `Date` accepts, or that looks nearly right. */
const WRONG = [
  ['30 February', '2026-02-30T00:00:00Z', 'a day that exists: 2026-02 has 28 days'],
  ['29 February of a common year', '2100-02-29T00:00:00Z', 'a day that exists: 2100-02 has 28 days'],
  ['31 April', '2026-04-31T00:00:00+02:00', 'a day that exists: 2026-04 has 30 days'],
  ['the day 0', '2026-04-00T00:00:00Z', 'a day that exists: 2026-04 has 30 days'],
  ['a 13th month', '2026-13-01T00:00:00Z', 'a month from 01 to 12'],
  ['the month 0', '2026-00-01T00:00:00Z', 'a month from 01 to 12'],
  ['24:00', '2026-01-01T24:00:00Z', 'an hour from 00 to 23'],
  ['60 minutes', '2026-01-01T00:60Z', 'a minute from 00 to 59'],
  ['a leap second', '2016-12-31T23:59:60Z', 'leap seconds'],
  ['60 minutes of a zone', '2026-01-01T00:00:00+01:60', 'a zone from -23:59 to +23:59'],
  ['24 hours of a zone', '2026-01-01T00:00:00-24:00', 'a zone from -23:59 to +23:59'],
  ['a year that MySQL lacks', '0999-12-31T23:59:59Z', '"1000-01-01T00:00:00Z"'],
  ['an early year', '0050-01-01T00:00:00Z', '"1000-01-01T00:00:00Z"'],
  ['an instant that its zone puts before the first', '1000-01-01T00:30:00+01:00', '"1000-01-01T00:00:00Z"'],
  ['an instant that its zone puts after the last', '9999-12-31T23:30:00-01:00', '"9999-12-31T23:59:59.999Z"'],
  ['no zone', '2026-01-01T00:00:00', 'an instant with its zone'],
  ['no time', '2026-01-01', 'an instant with its zone'],
  ['a zone without a time', '2026-01-01Z', 'an instant with its zone'],
  ['hours of a zone alone', '2026-01-01T00:00:00+01', 'an instant with its zone'],
  ['a zone by name', '2026-01-01T00:00:00 Europe/Berlin', 'an instant with its zone'],
  ['a blank in place of T', '2026-01-01 00:00:00Z', 'an instant with its zone'],
  ['small letters', '2026-01-01t00:00:00z', 'an instant with its zone'],
  ['the basic format', '20260101T000000Z', 'an instant with its zone'],
  ['a date of six digits', '+002026-01-01T00:00:00Z', 'an instant with its zone'],
  ['a year that both lack', '+010000-01-01T00:00:00Z', 'an instant with its zone'],
  ['a week date', '2026-W01-1T00:00:00Z', 'an instant with its zone'],
  ['a single digit', '2026-1-01T00:00:00Z', 'an instant with its zone'],
  ['a fraction without digits', '2026-01-01T00:00:00.Z', 'an instant with its zone'],
  ['a comma', '2026-01-01T00:00:00,5Z', 'an instant with its zone'],
  ['blanks around it', ' 2026-01-01T00:00:00Z', 'an instant with its zone'],
  ['a line break after it', '2026-01-01T00:00:00Z\n', 'an instant with its zone'],
  ['a date as in English', 'Jan 15 2026', 'an instant with its zone'],
  ['a date as in HTTP', 'Thu, 15 Jan 2026 00:00:00 GMT', 'an instant with its zone'],
  ['digits of another script', '٢٠٢٦-01-01T00:00:00Z', 'an instant with its zone'],
  ['a number in a text', '1767225600000', 'an instant with its zone'],
  ['an empty text', '', 'an instant with its zone'],
  ['a number', 1_767_225_600_000, 'a Date, or an instant with its zone'],
  ['null', null, 'a Date, or an instant with its zone'],
  ['an object with a date in it', { date: new Date(0) }, 'a Date, or an instant with its zone'],
  ['an invalid Date', new Date(Number.NaN), 'a valid Date'],
  ['a Date that no database can keep', new Date(LAST_INSTANT_MS + 1), '"9999-12-31T23:59:59.999Z"'],
  ['a Date of before the year 1000', new Date(FIRST_INSTANT_MS - 1), '"1000-01-01T00:00:00Z"'],
] as const

describe('an instant with its zone', () => {
  it.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31T12:00Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00.500Z'],
    ['2026-01-31T12:00:00.123999999Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T12:00:00+0200', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T12:00:00-05:30', '2026-01-31T17:30:00.000Z'],
    ['2026-01-01T00:00:00+14:00', '2025-12-31T10:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
    ['1000-01-01T00:00:00Z', '1000-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s is read', (text, instant) => {
    expect(instantOf('at', text).toISOString()).toBe(instant)
  })

  it.each(WRONG)('%s is refused', (_, value, expected) => {
    expect(readInstant(value)).toEqual({ expected: expect.stringContaining(expected) as string })
  })

  it('says which option has which value, and what was expected', () => {
    const error = thrown(() => instantOf('from of a backfill', '2026-02-30T00:00:00Z'))
    expect(error).toBeInstanceOf(PikoError)
    expect(error).toMatchObject({
      code: 'USAGE',
      message: 'from of a backfill is "2026-02-30T00:00:00Z"; expected a day that exists: 2026-02 has 28 days',
      details: { option: 'from of a backfill', value: '2026-02-30T00:00:00Z' },
    })
    expect(thrown(() => instantOf('since', new Date(Number.NaN)))).toMatchObject({
      message: 'since is an invalid Date; expected a valid Date',
    })
  })

  it('accepts a Date from another realm, and returns a copy', () => {
    const foreign = runInNewContext("new Date('2026-01-01T00:00:00Z')") as Date
    expect(instantOf('at', foreign).toISOString()).toBe('2026-01-01T00:00:00.000Z')
    const own = new Date('2026-01-01T00:00:00Z')
    const read = instantOf('at', own)
    own.setUTCFullYear(2030)
    expect(read.toISOString()).toBe('2026-01-01T00:00:00.000Z')
  })

  it('reads every string that a Date writes for the years 1000 to 9999, with both readers', () => {
    fc.assert(
      fc.property(fc.integer({ min: FIRST_INSTANT_MS, max: LAST_INSTANT_MS }), (ms) => {
        const text = new Date(ms).toISOString()
        expect(readInstant(text)).toEqual({ date: new Date(ms) })
        expect(storedInstant(text)?.getTime()).toBe(ms)
      }),
    )
  })
})

describe('an instant of a row', () => {
  it.each([
    ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.250', '2026-01-31T12:00:00.250Z'],
    ['2026-01-31T12:00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['2024-02-29T00:00:00.000Z', '2024-02-29T00:00:00.000Z'],
  ])('%s is read, without a zone as UTC', (text, instant) => {
    expect(storedInstant(text)?.toISOString()).toBe(instant)
  })

  it.each([
    ...['2026-02-30T00:00:00.000Z', '2026-01-01T24:00:00.000Z', '2026-01-01T00:00:60.000Z', '0999-01-01T00:00:00.000Z'],
    ...['2026-02-30', '2026-1-1', 'soon', '', '2026', '1767225600000', '2026-01-01T00:00:00.000Z ', 1_767_225_600_000],
    ...[null, undefined, new Date(Number.NaN), Buffer.from('2026-01-31')],
  ])('%s is not one', (value) => {
    expect(storedInstant(value)).toBeUndefined()
  })
})
