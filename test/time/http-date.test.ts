import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { httpDate } from '../../src/time/http-date.ts'

const NOW = new Date('2026-06-15T12:00:00Z')

describe('an HTTP date', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
    ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
    ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37.000Z'],
    ['Wed Nov 16 08:49:37 1994', '1994-11-16T08:49:37.000Z'],
    ['Saturday, 28-Nov-26 10:00:00 GMT', '2026-11-28T10:00:00.000Z'],
    // 50 years ahead is in the future, 51 years ahead is in the past.
    ['Wednesday, 01-Jan-76 00:00:00 GMT', '2076-01-01T00:00:00.000Z'],
    ['Saturday, 01-Jan-77 00:00:00 GMT', '1977-01-01T00:00:00.000Z'],
    ['Thu, 29 Feb 2024 00:00:00 GMT', '2024-02-29T00:00:00.000Z'],
  ])('%s is read', (text, instant) => {
    expect(httpDate(text, NOW)?.toISOString()).toBe(instant)
  })

  it.each([
    ...['', 'soon', '2001', '0.5', '1.5', '-1', '2.0', '1e3', '+5', '120', 'Jan 15 2026', '2026-01-15T00:00:00Z'],
    // Another day of the week, a day that does not exist, and invalid hours and seconds.
    ...['Mon, 06 Nov 1994 08:49:37 GMT', 'Mon, 30 Feb 2026 00:00:00 GMT', 'Sun, 06 Nov 1994 24:00:00 GMT'],
    ...['Sat, 31 Dec 2016 23:59:60 GMT', 'Sun, 06 Nov 1994 08:49:37', 'Sun, 06 Nov 1994 08:49:37 UTC'],
    ...['Sun, 06 Nov 1994 08:49:37 +0000', 'sun, 06 nov 1994 08:49:37 gmt', 'Sun, 6 Nov 1994 08:49:37 GMT'],
    ...['Sun, 06 Nov 1994 8:49:37 GMT', '06 Nov 1994 08:49:37 GMT', 'Sun, 06-Nov-94 08:49:37 GMT'],
    ...['Sunday, 06 Nov 1994 08:49:37 GMT', 'Sun Nov 6 08:49:37 1994', 'Sun, 06 Nov 94 08:49:37 GMT'],
    ...['Sun, 06 Nov 1994 08:49:37 GMT (soon)', 'Sun, 06 Nov 0994 08:49:37 GMT'],
  ])('%j is not one', (text) => {
    expect(httpDate(text, NOW)).toBeUndefined()
  })

  it('reads every date that a Date writes, to the second', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1000, 0, 1), max: Date.UTC(9999, 0, 1) }), (ms) => {
        const second = new Date(Math.floor(ms / 1_000) * 1_000)
        expect(httpDate(second.toUTCString(), NOW)).toEqual(second)
      }),
    )
  })
})
