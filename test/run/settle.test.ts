import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { PikoError, toError } from '../../src/errors.ts'
import { runError } from '../../src/run/run-error.ts'
import { stackOf } from '../../src/errors-read.ts'
import { settle } from '../../src/run/settle.ts'
import { TERMINAL_STATES, type Outcome, type Transition } from '../../src/run/run.ts'
import type { RetryPolicy } from '../../src/run/retry.ts'

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

  it('passes the random number to the jitter', () => {
    const outcome: Outcome = { kind: 'failure', error }
    const delays = [0, 0.5].map((random) => settle({ attempt: 1 }, outcome, { ...twice, jitter: true }, random))
    expect(delays).toMatchObject([{ delayMs: 500 }, { delayMs: 750 }])
  })

  it('leads to a final state or to queued', () => {
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
    expect(kept.stack).toContain('settle.test.ts')
  })

  it('has no code and no stack if the error has none', () => {
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

  it('accepts a cause that causes itself', () => {
    const loop = new Error('loop')
    loop.cause = loop
    expect(runError(loop).stack).toBe(loop.stack)
  })

  it('hides secrets of the message, the stack and the causes, even at the cut', () => {
    const dsn = 'mysql://u:s3cr3t@h/db'
    const error = new Error(`cannot reach ${dsn}`, { cause: new Error(`refused: ${dsn}`) })
    expect(runError(error).message).toBe('cannot reach mysql://u:[redacted]@h/db')
    const atTheCut = new Error(`${' '.repeat(2_000 - 'mysql://u:s3cr3t'.length)}${dsn}`)
    expect(JSON.stringify([runError(error), runError(atTheCut)])).not.toContain('s3cr')
  })

  it('lists the parts of an AggregateError that has no message of its own', async () => {
    const parts = [new TypeError('no route'), 'plain text', { status: 503 }]
    expect(runError(new AggregateError(parts)).message).toBe(
      '3 errors: TypeError: no route; "plain text"; {"status":503}',
    )
    const any = await Promise.any(parts.map((part) => Promise.reject(part as Error))).catch((error: unknown) => error)
    expect(runError(any as Error).message).toBe(
      'All promises were rejected: TypeError: no route; "plain text"; {"status":503}',
    )
    expect(runError(new AggregateError(parts, 'two of three')).message).toBe('two of three')
    expect(runError(new AggregateError(parts, 'two of three')).stack).toMatch(
      /Part 1 of 3: TypeError: no route[^]*Part 2 of 3: "plain text"\nPart 3 of 3: \{"status":503\}/,
    )
  })

  it('describes both errors if one was suppressed by the other', () => {
    const both = { error: new Error('close failed'), suppressed: new RangeError('too far') }
    const suppressed = Object.assign(new Error('An error was suppressed during disposal.'), both, {
      name: 'SuppressedError',
    })
    expect(runError(suppressed).message).toBe(
      'An error was suppressed during disposal.: Error: close failed; RangeError: too far',
    )
    // As the engine itself and compilers word it.
    const other = Object.assign(suppressed, { message: 'An error was suppressed during disposal' })
    expect(runError(other).message).toBe(
      'An error was suppressed during disposal: Error: close failed; RangeError: too far',
    )
    expect(runError(suppressed).stack).toMatch(/Part 1 of 2: Error: close failed[^]*Part 2 of 2: RangeError: too far/)
  })

  it.each([
    ['a response', new Response('gone', { status: 404 }), /Response \{ status: 404/],
    ['an event with a message', Object.create({ message: 'socket hang up' }) as object, /Object: socket hang up/],
    ['an event', new Event('error'), /Event \{ type: 'error'/],
    ['a map', new Map([['why', 'full']]), /Map\(1\) \{ 'why' => 'full' \}/],
    ['an invalid date', new Date(NaN), /Invalid Date/],
  ])('shows the parts of %s that JSON leaves out', (_, thrown, shown) => {
    expect(runError(toError(thrown)).message).toMatch(shown)
    expect(runError(new Error('here', { cause: thrown })).stack).toMatch(shown)
  })

  it('lists the parts of a part that is an AggregateError with a message', () => {
    const inner = new AggregateError([new TypeError('inner why')], 'nested')
    expect(runError(new AggregateError([new Error('outer'), inner], '')).stack).toMatch(
      /Part 2 of 2: AggregateError: nested[^]*Part 1 of 1: TypeError: inner why/,
    )
  })

  it('keeps an AggregateError of 100,000 parts short', () => {
    const many = runError(new AggregateError(Array.from({ length: 100_000 }, (_, n) => new Error(`part ${n}`))))
    expect(many.message).toMatch(/^100000 errors: Error: part 0; .*; and 99990 more$/)
    expect(many.stack?.length).toBeLessThanOrEqual(8_000)
  })

  it.each([
    ['contains itself', selfContaining(), /^10 errors: AggregateError; AggregateError;/],
    [
      'contains errors of errors, nine deep',
      nested(9),
      /^10 errors: (?:AggregateError: 10 errors: ){7}AggregateError;/,
    ],
  ])('keeps an AggregateError short that %s, and does not block the event loop', (_, error, shown) => {
    const began = performance.now()
    const kept = runError(error)
    expect(kept.message).toMatch(shown)
    expect(kept.message.length).toBeLessThan(1_500)
    // Each part of each part would take hours.
    expect(performance.now() - began).toBeLessThan(20_000)
  })

  it('keeps an error whose strings are too long to be joined', () => {
    const long = 'x'.repeat(2 ** 28)
    const withStack = (cause?: Error): Error => Object.assign(new Error('long', { cause }), { stack: long })
    expect(runError(withStack(withStack(withStack()))).stack).toBe('x'.repeat(8_000))
  })

  it('keeps the whole of a thrown text, an object or a cause of some hundred characters', () => {
    const text = `${'a reason '.repeat(50)}at its end`
    expect(runError(toError(text)).message).toContain('at its end')
    expect(runError(toError({ error: text })).message).toContain('at its end')
    expect(runError(new Error('failed', { cause: { body: text } })).stack).toContain('at its end')
  })

  it('uses the class and the fields if there is neither message, code nor cause', () => {
    class HttpFailure extends Error {
      readonly status = 404
      readonly password = 's3cr3t'
    }
    expect(runError(new HttpFailure()).message).toBe('HttpFailure {"status":404,"password":"[redacted]"}')
    expect(runError(new HttpFailure()).stack).toMatch(/^Error: HttpFailure \{"status":404,.*\n {4}at /)
    expect([stackOf(undefined), stackOf(null)]).toEqual(['undefined', 'null'])
    expect(runError(Object.assign(new Error(), { errno: -111, syscall: 'connect' })).message).toBe(
      '{"errno":-111,"syscall":"connect"}',
    )
  })

  it('uses the code or the cause if there is no message', () => {
    expect(runError(Object.assign(new Error(''), { code: 'ECONNREFUSED' })).message).toBe('ECONNREFUSED')
    expect(runError(new Error('', { cause: new RangeError('too far') })).message).toBe('RangeError: too far')
  })

  it.each([
    ['a text', 'disk full', '\nCaused by: "disk full"'],
    ['an object', { status: 503, body: 'down' }, '\nCaused by: {"status":503,"body":"down"}'],
    ['a number', 7, '\nCaused by: 7'],
  ])('keeps a cause that is %s', (_, cause, expected) => {
    expect(runError(new Error('failed', { cause })).stack).toContain(expected)
  })

  it('keeps the message of an error from another realm, with its causes and parts', () => {
    const foreign = runInNewContext(
      `
      const error = new TypeError('from elsewhere', { cause: new RangeError('deeper') })
      Object.assign(error, { code: 'FOREIGN' })` + '; error',
    ) as Error
    expect(foreign instanceof Error).toBe(false)
    expect(toError(foreign)).toBe(foreign)
    expect(runError(toError(foreign))).toMatchObject({ name: 'TypeError', message: 'from elsewhere', code: 'FOREIGN' })
    expect(runError(new Error('here', { cause: foreign })).stack).toMatch(
      /here[^]*Caused by: TypeError: from elsewhere[^]*Caused by: RangeError: deeper/,
    )
    const parts = runInNewContext(`new AggregateError([new Error('a'), 'b'])`) as Error
    expect(runError(toError(parts)).message).toBe('2 errors: Error: a; "b"')
  })

  it('truncates strings that are too long for a row', () => {
    const long = Object.assign(new Error('x'.repeat(100_000)), { code: 'c'.repeat(1_000), name: 'n'.repeat(1_000) })
    const kept = runError(long)
    expect([kept.message.length, kept.code?.length, kept.name.length]).toEqual([2_000, 200, 200])
    expect(kept.stack?.length).toBeLessThanOrEqual(8_000)
  })
})

function selfContaining(): Error {
  const error = new AggregateError([])
  for (let index = 0; index < 10; index += 1) error.errors.push(error)
  return error
}

function nested(depth: number): Error {
  let error = new Error('x')
  for (let index = 0; index < depth; index += 1) error = new AggregateError(Array.from({ length: 10 }, () => error))
  return error
}
