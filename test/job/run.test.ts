import { describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { runError, settle, TERMINAL_STATES, type Outcome, type Transition } from '../../src/job/run.ts'
import { type RetryPolicy } from '../../src/job/spec.ts'

const never: RetryPolicy = { limit: 0, backoff: 'fixed', baseMs: 1_000, maxMs: 1_000, jitter: false }
const twice: RetryPolicy = { limit: 2, backoff: 'exponential', baseMs: 1_000, maxMs: 60_000, jitter: false }
const error = new Error('no shop')
const stored = expect.objectContaining({ name: 'Error', message: 'no shop' }) as unknown as ReturnType<typeof runError>

describe('settle', () => {
  it.each<[string, Outcome, RetryPolicy, number, Transition]>([
    ['a success succeeds', { kind: 'success', output: 7 }, never, 1, { to: 'succeeded', output: 7 }],
    ['a success without output succeeds', { kind: 'success' }, never, 1, { to: 'succeeded', output: undefined }],
    ['a late success succeeds', { kind: 'success', output: 7 }, twice, 9, { to: 'succeeded', output: 7 }],
    ['a failure without retries fails', { kind: 'failure', error }, never, 1, { to: 'failed', error: stored }],
    [
      'a first failure is queued again',
      { kind: 'failure', error },
      twice,
      1,
      { to: 'queued', delayMs: 1_000, counted: true, error: stored },
    ],
    [
      'a second failure is queued again, later',
      { kind: 'failure', error },
      twice,
      2,
      { to: 'queued', delayMs: 2_000, counted: true, error: stored },
    ],
    ['a failure after the last retry fails', { kind: 'failure', error }, twice, 3, { to: 'failed', error: stored }],
    [
      'a timeout is retried as a failure is',
      { kind: 'timeout', error },
      twice,
      1,
      { to: 'queued', delayMs: 1_000, counted: true, error: stored },
    ],
    ['a timeout after the last retry fails', { kind: 'timeout', error }, twice, 3, { to: 'failed', error: stored }],
    ['a cancel is final, retries or not', { kind: 'cancelled', error }, twice, 1, { to: 'cancelled', error: stored }],
    [
      'an interruption goes back at once, uncounted',
      { kind: 'interrupted' },
      never,
      1,
      { to: 'queued', delayMs: 0, counted: false },
    ],
    [
      'an interruption of the last attempt goes back too',
      { kind: 'interrupted' },
      twice,
      3,
      { to: 'queued', delayMs: 0, counted: false },
    ],
  ])('%s', (_sentence, outcome, policy, attempt, transition) => {
    expect(settle({ attempt }, outcome, policy, 0)).toEqual(transition)
  })

  it('hands the randomness to the jitter', () => {
    const outcome: Outcome = { kind: 'failure', error }
    const delays = [0, 0.5].map((random) => settle({ attempt: 1 }, outcome, { ...twice, jitter: true }, random))
    expect(delays).toMatchObject([{ delayMs: 500 }, { delayMs: 750 }])
  })

  it('leads to a state that is terminal or queued', () => {
    const outcomes: Outcome[] = [
      { kind: 'success' },
      { kind: 'failure', error },
      { kind: 'timeout', error },
      { kind: 'cancelled', error },
      { kind: 'interrupted' },
    ]
    for (const outcome of outcomes) {
      const { to } = settle({ attempt: 1 }, outcome, never, 0)
      expect(to === 'queued' || TERMINAL_STATES.has(to)).toBe(true)
    }
  })
})

describe('runError', () => {
  it('keeps name, message, code and stack', () => {
    const kept = runError(new PikoError('CONFIG_INVALID', 'no shop'))
    expect(kept).toMatchObject({ name: 'PikoError', message: 'no shop', code: 'CONFIG_INVALID' })
    expect(kept.stack).toContain('run.test.ts')
  })

  it('has no code and no stack where the error has none', () => {
    const bare = Object.assign(new Error('bare'), { code: 42 })
    delete bare.stack
    expect(runError(bare)).toEqual({ name: 'Error', message: 'bare' })
  })

  it('appends the causes to the stack', () => {
    const cause = new TypeError('the shop is closed')
    expect(runError(new Error('no orders', { cause })).stack).toMatch(
      /^Error: no orders\n[^]*\nCaused by: TypeError: the shop is closed\n/,
    )
  })

  it('survives a cause that causes itself', () => {
    const loop = new Error('loop')
    loop.cause = loop
    expect(runError(loop).stack?.match(/Caused by/g)).toHaveLength(7)
  })

  it('keeps no secret of the message, the stack and the causes, also where the row is cut', () => {
    const dsn = 'mysql://u:s3cr3t@h/db'
    const error = new Error(`cannot reach ${dsn}`, { cause: new Error(`refused: ${dsn}`) })
    expect(runError(error).message).toBe('cannot reach mysql://u:[redacted]@h/db')
    const atTheCut = new Error(`${' '.repeat(2_000 - 'mysql://u:s3cr3t'.length)}${dsn}`)
    expect(JSON.stringify([runError(error), runError(atTheCut)])).not.toContain('s3cr')
  })

  it('cuts what is too long for a row', () => {
    const long = Object.assign(new Error('x'.repeat(100_000)), { code: 'c'.repeat(1_000), name: 'n'.repeat(1_000) })
    const kept = runError(long)
    expect([kept.message.length, kept.code?.length, kept.name.length]).toEqual([2_000, 200, 200])
    expect(kept.stack?.length).toBeLessThanOrEqual(8_000)
  })
})
