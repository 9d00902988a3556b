import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { RetryLaterError, retryTimingOf } from '../../src/run/retry-errors.ts'
import { type Duration, durationMs, MAX_STORED_MS } from '../../src/time/duration.ts'

const TEN_YEARS = '3650d'
const FIVE_HUNDRED_YEARS = '182500d'

/** Each option that takes a length of time, with its maximum. */
const OPTIONS: readonly (readonly [option: string, longest: Duration, (text: Duration) => object])[] = [
  ['retry.base', TEN_YEARS, (base) => ({ retry: { limit: 1, base } })],
  ['retry.max', TEN_YEARS, (max) => ({ retry: { limit: 1, max } })],
  ['jitter', TEN_YEARS, (jitter) => ({ cron: '* * * * *', jitter })],
  ['rate', TEN_YEARS, (span) => ({ rate: `1/${span}` })],
  ['rate.rate', TEN_YEARS, (span) => ({ rate: { rate: `1/${span}`, key: () => 'key' } })],
  ['every', FIVE_HUNDRED_YEARS, (every) => ({ every })],
  ['timeout', FIVE_HUNDRED_YEARS, (timeout) => ({ timeout })],
  ['misfireGraceTime', FIVE_HUNDRED_YEARS, (misfireGraceTime) => ({ misfireGraceTime })],
]
const TOO_LONG = ['182501d', '100000000d', `${'9'.repeat(20)}d`, `${'9'.repeat(400)}ms`] as readonly Duration[]

const define = (spec: object) => defineJob({ id: 'far', ...spec }, async () => {})

describe('a length of time that no database can add to an instant', () => {
  describe.each(OPTIONS)('as %s of a job', (option, longest, specOf) => {
    it(`is accepted up to ${longest}`, () => {
      expect(() => define(specOf(longest))).not.toThrow()
    })

    it.each([...TOO_LONG, ...(longest === TEN_YEARS ? (['3651d'] as const) : [])])('is refused as %s', (text) => {
      expect(() => define(specOf(text))).toThrow(
        expect.objectContaining({
          code: option.startsWith('rate') ? 'JOB_INVALID' : 'DURATION_INVALID',
          message: expect.stringMatching(
            new RegExp(`${option.replace('.', '\\.')}[ :].*at most "${longest}"`),
          ) as string,
        }),
      )
    })
  })

  it('is reported together with all other problems of the job', () => {
    const spec = { retry: { limit: 1, base: '99999999d', max: 'soon' }, timeout: '1e9d', rate: '1/99999999d' }
    try {
      define(spec)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'DURATION_INVALID', details: { jobId: 'far' } })
      for (const option of ['retry.base', 'retry.max', 'timeout', 'rate'])
        expect((error as Error).message).toContain(`${option} `)
    }
  })

  it.each(TOO_LONG)('is cut to ten years when another system chose it: %s', (after) => {
    expect(retryTimingOf(new RetryLaterError('later', { after }))).toEqual({ afterMs: MAX_STORED_MS })
  })

  it('is refused by everything else that reads a duration', () => {
    for (const text of TOO_LONG)
      expect(() => durationMs(text, 'wait')).toThrow(
        expect.objectContaining({ code: 'DURATION_INVALID', details: { what: 'wait', value: text } }),
      )
  })
})
