import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPikoError } from '../../src/errors.ts'
import { durationMs, formatMs } from '../../src/time/duration.ts'

describe('a duration', () => {
  it.each([
    ['0ms', 0],
    ['250ms', 250],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
    ['1m1ms', 60_001],
    ['0.4ms', 0],
    ['0.29s', 290],
  ])('%s is %d milliseconds', (text, ms) => {
    expect(durationMs(text)).toBe(ms)
  })

  it.each(['', '10', 's', '10 s', '-1s', '1S', '1w', '1e3s', '.5s', '1,5s', '10s ', '1s,2s', 'PT1S'])(
    'refuses %j and says what is expected',
    (text) => {
      expect(() => durationMs(text, 'timeout')).toThrow(
        expect.objectContaining({
          code: 'DURATION_INVALID',
          message: `timeout is ${JSON.stringify(text)}; expected a number with a unit (ms, s, m, h, d), such as "10s" or "1h30m"`,
          details: { what: 'timeout', value: text },
        }),
      )
    },
  )

  it('refuses a bare number, whose unit is unknown', () => {
    expect(() => durationMs(10 as unknown as string)).toThrow('duration is 10; expected a number with a unit')
  })

  it('adds up its parts', () => {
    const part = fc.tuple(fc.nat(999), fc.constantFrom('ms', 's', 'm', 'h', 'd'))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const texts = parts.map(([amount, unit]) => `${amount}${unit}`)
        const sum = texts.map((text) => durationMs(text)).reduce((total, ms) => total + ms, 0)
        expect(durationMs(texts.join(''))).toBe(sum)
      }),
    )
  })

  it('reads any string or refuses it with its own error', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.mshd -') }), (text) => {
        try {
          expect(durationMs(text)).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(isPikoError(error, 'DURATION_INVALID')).toBe(true)
        }
      }),
    )
  })
})

describe('a duration for people', () => {
  it.each([
    [0, '0ms'],
    [850.4, '850ms'],
    [1_000, '1.0s'],
    [12_340, '12.3s'],
    [59_949, '59.9s'],
    [60_000, '1m 00s'],
    [245_000, '4m 05s'],
    [3_600_000, '1h 00m'],
    [7_380_000, '2h 03m'],
    [90_000_000, '25h 00m'],
  ])('%d ms is shown as %s', (ms, text) => {
    expect(formatMs(ms)).toBe(text)
  })

  it.each([
    [999.7, '1.0s'],
    [59_980, '1m 00s'],
    [3_599_800, '1h 00m'],
  ])('rounds %d ms up into the next unit, %s', (ms, text) => {
    expect(formatMs(ms)).toBe(text)
  })
})
