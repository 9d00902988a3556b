import { describe, expect, it } from 'vitest'
import { forbidsRetry, NoRetryError, RetryLaterError, retryTimingOf } from '../../src/run/retry-errors.ts'
import { thrown } from '../support/thrown.ts'

const soon = new Date(Date.now() + 60_000)

describe('NoRetryError', () => {
  it('forbids another attempt, also as the cause of another error', () => {
    const error = new NoRetryError('gone')
    expect([forbidsRetry(error), forbidsRetry(new Error('sync failed', { cause: error }))]).toEqual([true, true])
    expect(forbidsRetry(new Error('gone'))).toBe(false)
  })

  it('is recognized across two copies of the package', () => {
    const other = Object.assign(new Error('gone'), { [Symbol.for('piko.noRetry')]: true })
    expect(forbidsRetry(other)).toBe(true)
  })
})

describe('RetryLaterError', () => {
  it.each([
    ['seconds', '120', { afterMs: 120_000 }],
    ['no seconds', '0', { afterMs: 0 }],
    [
      'a date',
      new Date(Math.floor(soon.getTime() / 1_000) * 1_000).toUTCString(),
      { at: new Date(Math.floor(soon.getTime() / 1_000) * 1_000) },
    ],
    ['blanks around the seconds', ' 120\t', { afterMs: 120_000 }],
  ])('reads a Retry-After with %s', (_what, header, timing) => {
    expect(retryTimingOf(RetryLaterError.fromHeader(header, 'busy'))).toEqual(timing)
  })

  it.each([
    ...[null, undefined, '', 'soon', '0.5', '1.5', '-1', '+5', '2.0', '1e3', '0x10', '120s', '120, 240', '\u00a0120'],
    // Not a form of HTTP, although Date accepts it; a date that has passed; the seconds since 1970.
    ...['2001-01-01', '2126-01-01T00:00:00Z', 'Jan 15 2126', 'Sun, 06 Nov 1994 08:49:37 GMT', '1764345600'],
  ])('uses the back-off for a Retry-After of %j', (header) => {
    expect(retryTimingOf(RetryLaterError.fromHeader(header, 'busy'))).toBeUndefined()
    expect(retryTimingOf(RetryLaterError.fromHeader(header, 'busy', '30s'))).toEqual({ afterMs: 30_000 })
  })

  it('uses the back-off if its instant has passed, and checks the causes', () => {
    const past = new RetryLaterError('busy', { at: new Date(Date.now() - 1) })
    expect(retryTimingOf(past)).toBeUndefined()
    const caused = new RetryLaterError('busy', { at: new Date(0) }, { cause: new RetryLaterError('x', { at: soon }) })
    expect(retryTimingOf(caused)).toEqual({ at: soon })
  })

  it('accepts an instant or a duration, also as a cause', () => {
    expect(retryTimingOf(new RetryLaterError('busy', { after: '2m' }))).toEqual({ afterMs: 120_000 })
    const caused = new Error('sync failed', { cause: new RetryLaterError('busy', { at: soon }) })
    expect(retryTimingOf(caused)).toEqual({ at: soon })
  })

  it('stays within the range of a database', () => {
    const timing = retryTimingOf(new RetryLaterError('busy', { at: new Date(8.64e15) })) as { at: Date }
    expect(timing.at.getUTCFullYear()).toBeLessThan(10_000)
    expect(retryTimingOf(RetryLaterError.fromHeader('999999999', 'busy'))).toEqual({ afterMs: 10 * 365 * 86_400_000 })
  })

  it.each([
    [{ at: new Date('x') }, /at of a RetryLaterError/],
    [{ after: 'soon' as '1s' }, /after of a RetryLaterError is "soon"/],
  ])('refuses %j', (time, message) => {
    expect(thrown(() => new RetryLaterError('busy', time)).message).toMatch(message)
  })
})
