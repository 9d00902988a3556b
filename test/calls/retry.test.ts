import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retry } from '../../src/calls/retry.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { NoRetryError, RetryLaterError } from '../../src/run/retry-errors.ts'
import { policyOf, type RetrySpec } from '../../src/run/retry.ts'
import type { Duration } from '../../src/time/duration.ts'
import { eventually } from '../support/app.ts'
import { turns } from '../support/turns.ts'
import { rejected } from '../support/thrown.ts'

const FAST = { base: '1ms', jitter: false } as const

/** Fails `times` times, then succeeds. */
function failing(times: number, error: (attempt: number) => unknown = (attempt) => new Error(`attempt ${attempt}`)) {
  const attempts: number[] = []
  const fn = (_: AbortSignal, attempt: number): string => {
    attempts.push(attempt)
    if (attempt <= times) throw error(attempt)
    return `attempt ${attempt}`
  }
  return { fn, attempts }
}

describe('retry', () => {
  it('calls again until it succeeds, and counts the attempts', async () => {
    const { fn, attempts } = failing(2)
    expect(await retry(fn, { limit: 2, ...FAST })).toBe('attempt 3')
    expect(attempts).toEqual([1, 2, 3])
  })

  it('throws what the last attempt threw, of whatever kind', async () => {
    const { fn, attempts } = failing(9, () => 'just a text')
    await expect(retry(fn, { limit: 1, ...FAST })).rejects.toBe('just a text')
    expect(attempts).toEqual([1, 2])
    await expect(retry(failing(1).fn, { limit: 0 })).rejects.toThrow('attempt 1')
  })

  it('has the delays of a job with the same retry', () => {
    const duration = fc.nat(1_000).map((amount) => `${amount}s` as Duration)
    const spec = fc.record<RetrySpec>(
      {
        limit: fc.nat(9),
        backoff: fc.constantFrom('fixed', 'exponential'),
        base: duration,
        max: duration,
        jitter: fc.boolean(),
      },
      { requiredKeys: ['limit'] },
    )
    fc.assert(
      fc.property(spec, (given) => {
        expect(policyOf(given)).toEqual(defineJob({ id: 'same', retry: given }, () => {}).policy.retry)
      }),
    )
  })

  it('obeys a NoRetryError and a RetryLaterError, as a cause too', async () => {
    const hopeless = failing(9, () => new Error('gone', { cause: new NoRetryError('404') }))
    await expect(retry(hopeless.fn, { limit: 5, ...FAST })).rejects.toThrow('gone')
    expect(hopeless.attempts).toEqual([1])

    const later = failing(2, (attempt) =>
      attempt === 1
        ? new RetryLaterError('limited', { after: '1ms' })
        : new RetryLaterError('limited', { at: new Date(0) }),
    )
    // An instant that has passed means the back-off, which takes years here.
    const controller = new AbortController()
    const waiting = retry(later.fn, { limit: 5, base: '3000d', max: '3000d', signal: controller.signal })
    await eventually(() => expect(later.attempts).toEqual([1, 2]))
    await turns(3)
    controller.abort(new Error('stopped'))
    await expect(waiting).rejects.toThrow('stopped')
    expect(later.attempts).toEqual([1, 2])
  })

  it('asks retryIf about an error, and says so if that fails', async () => {
    const once = failing(9, (attempt) => new Error(attempt < 2 ? 'busy' : 'broken'))
    const retryIf = (error: Error): boolean => error.message === 'busy'
    await expect(retry(once.fn, { limit: 5, ...FAST, retryIf })).rejects.toThrow('broken')
    expect(once.attempts).toEqual([1, 2])

    const broken = (): boolean => {
      throw new TypeError('no such field')
    }
    const fault = await rejected(retry(failing(9).fn, { limit: 5, ...FAST, retryIf: broken }))
    expect(fault).toMatchObject({
      code: 'USAGE',
      message: 'retryIf was called with Error: attempt 1 and threw TypeError: no such field',
      cause: { message: 'attempt 1' },
    })
    const asynchronous = (() => Promise.reject(new Error('late'))) as unknown as () => boolean
    expect(await rejected(retry(failing(9).fn, { limit: 5, ...FAST, retryIf: asynchronous }))).toMatchObject({
      code: 'USAGE',
      message: 'retryIf was called with Error: attempt 1 and returned a promise; expected true or false',
    })
  })

  it('ends with the signal: before the first attempt, during one and between two', async () => {
    const reason = new Error('stopped')
    const none = failing(9)
    await expect(retry(none.fn, { limit: 5, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(none.attempts).toEqual([])

    const controller = new AbortController()
    const during = retry((signal) => waitFor(signal), { limit: 5, ...FAST, signal: controller.signal })
    await turns(2)
    controller.abort(reason)
    await expect(during).rejects.toBe(reason)

    const between = failing(9)
    const second = new AbortController()
    const waiting = retry(between.fn, { limit: 5, base: '1d', max: '1d', signal: second.signal })
    await turns(2)
    second.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(between.attempts).toEqual([1])
  })

  it('keeps the result of an attempt that succeeds although its signal has aborted', async () => {
    const controller = new AbortController()
    const fn = (): string => {
      controller.abort()
      return 'done'
    }
    expect(await retry(fn, { limit: 1, signal: controller.signal })).toBe('done')
  })

  it('names every wrong option', async () => {
    const wrong = { limit: -1, base: '1', max: 5, jitter: 'no', backoff: 'linear', retryIf: true, retires: 3 }
    const error = await rejected(retry('no function' as never, wrong as never))
    expect(error.code).toBe('USAGE')
    for (const part of [
      'fn is "no function"',
      'limit is -1',
      'base is "1"',
      'max is 5',
      'jitter is "no"',
      'backoff is "linear"',
      'retryIf is true',
      'unknown option "retires"',
    ])
      expect(error.message).toContain(part)
    expect((await rejected(retry(() => 1, undefined as never))).message).toContain('such as { limit: 3 }')
    expect((await rejected(retry(() => 1, {} as never))).message).toContain('limit is undefined')
  })
})

/** Rejects when its signal aborts. */
function waitFor(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
}
