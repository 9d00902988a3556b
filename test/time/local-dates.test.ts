import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dateOfWindow, localText, momentOf, momentText, readMoment } from '../../src/time/local-dates.ts'
import { changesOf } from './arbitrary.ts'
import { ZONES } from './zones.ts'

const at = (value: unknown, zone: string): string => {
  const reading = readMoment(value, zone)
  return 'date' in reading ? reading.date.toISOString().replace(':00.000Z', 'Z') : reading.expected
}

describe('a date of a time zone', () => {
  it.each([
    ['2025-06-15', 'UTC', '2025-06-15T00:00Z'],
    ['2025-06-15', 'Europe/Berlin', '2025-06-14T22:00Z'],
    ['2025-03-30', 'Europe/Berlin', '2025-03-29T23:00Z'],
    ['2025-10-27', 'Europe/Berlin', '2025-10-26T23:00Z'],
    // The clocks left out midnight: the day begins at 01:00.
    ['2018-11-04', 'America/Sao_Paulo', '2018-11-04T03:00Z'],
    // At midnight they went back to 23:00 of the day before.
    ['2019-02-17', 'America/Sao_Paulo', '2019-02-17T03:00Z'],
    // Midnight came twice: the day begins with the first.
    ['2025-11-02', 'America/Havana', '2025-11-02T04:00Z'],
    ['2026-10-04', 'Australia/Lord_Howe', '2026-10-03T13:30Z'],
    ['2011-12-29', 'Pacific/Apia', '2011-12-29T10:00Z'],
    ['2011-12-31', 'Pacific/Apia', '2011-12-30T10:00Z'],
  ])('%s in %s begins at %s', (date, zone, instant) => {
    expect(at(date, zone)).toBe(instant)
    expect(at({ date }, zone)).toBe(instant)
    expect(momentText(new Date(at(date, zone)), zone)).toBe(date)
  })

  it('that no clock of the zone has shown, or no calendar has, is refused', () => {
    expect(at('2011-12-30', 'Pacific/Apia')).toContain('a day that exists in Pacific/Apia')
    expect(at({ date: '2025-02-29' }, 'UTC')).toBe('a day that exists: 2025-02 has 28 days')
    expect(at('2025-13-01', 'UTC')).toBe('a month from 01 to 12')
    for (const wrong of ['2025-6-15', '15.06.2025', 20250615, { date: 7 }, { day: '2025-06-15' }, null, []]) {
      expect(at(wrong, 'UTC')).toMatch(/an instant with its zone.* or a date of the job's time zone/)
    }
    expect(() => momentOf('from', '2025-02-30', 'UTC')).toThrow(
      'from is "2025-02-30"; expected a day that exists: 2025-02 has 28 days',
    )
  })

  it('leaves an instant as it is', () => {
    expect(at('2025-06-15T00:00:00+02:00', 'America/New_York')).toBe('2025-06-14T22:00Z')
    expect(at(new Date('2025-06-15T00:00:00Z'), 'America/New_York')).toBe('2025-06-15T00:00Z')
  })

  it('names a window that is exactly that day, whatever its length', () => {
    const dateIn = (zone: string, start: string, end: string) =>
      dateOfWindow({ start: new Date(start), end: new Date(end) }, zone)
    expect(dateIn('Europe/Berlin', '2025-03-29T23:00Z', '2025-03-30T22:00Z')).toBe('2025-03-30')
    expect(dateIn('Europe/Berlin', '2025-10-25T22:00Z', '2025-10-26T23:00Z')).toBe('2025-10-26')
    expect(dateIn('Europe/Berlin', '2025-10-25T22:00Z', '2025-10-26T22:00Z')).toBeUndefined()
    expect(dateIn('UTC', '2025-10-25T22:00Z', '2025-10-26T22:00Z')).toBeUndefined()
    expect(dateIn('Europe/Berlin', '2025-06-14T22:00Z', '2025-06-16T22:00Z')).toBeUndefined()
    expect(localText(new Date('2025-06-15T00:00:00Z'), 'Europe/Berlin')).toBe('2025-06-15 02:00 +02:00')
    expect(localText(new Date('2025-06-15T00:00:05Z'), 'UTC')).toBe('2025-06-15 00:00:05 +00:00')
  })

  it('is what the clocks show at its beginning and not a millisecond before, around every change', () => {
    const zoneAndDay = fc
      .constantFrom(...ZONES)
      .chain((zone) =>
        fc.tuple(fc.constant(zone), fc.constantFrom(...changesOf(zone)), fc.integer({ min: -3, max: 3 })),
      )
    fc.assert(
      fc.property(zoneAndDay, ([zone, change, days]) => {
        const date = localText(new Date(change + days * 86_400_000), zone).slice(0, 10)
        const reading = readMoment(date, zone)
        // Some clocks changed just after midnight, so that the day before came back for a while.
        if (!('date' in reading)) throw new Error(`${zone} ${date}: ${reading.expected}`)
        expect(localText(reading.date, zone).slice(0, 10)).toBe(date)
        expect(localText(new Date(reading.date.getTime() - 1), zone).slice(0, 10) < date).toBe(true)
        expect(momentText(reading.date, zone)).toBe(date)
      }),
      { numRuns: 300 },
    )
  })
})
