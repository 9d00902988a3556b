import { expect, test } from 'vitest'
import { isPikoError, PikoError } from '../../src/errors.ts'
import { reviveError, serialiseError } from '../../src/offload/error-transfer.ts'

/** Sends an error there and back, as between threads. */
const travel = (thrown: unknown): unknown => reviveError(structuredClone(serialiseError(thrown)))
const travelled = (thrown: Error): Error & Record<string, unknown> => travel(thrown) as Error & Record<string, unknown>

test('an error keeps its name, message, stack, code and own data', () => {
  const error = Object.assign(new Error('row 7 is bad'), { name: 'RowError', code: 'BAD_ROW', row: { line: 7 } })
  const revived = travelled(error)
  expect(revived).toBeInstanceOf(Error)
  expect(revived).toMatchObject({ name: 'RowError', message: 'row 7 is bad', code: 'BAD_ROW', row: { line: 7 } })
  expect(revived.stack).toBe(error.stack)
  expect(Object.keys(revived)).toEqual(['code', 'row'])
})

test('a numeric code stays a number', () => {
  expect(travelled(Object.assign(new Error('exit'), { code: 3 }))).toHaveProperty('code', 3)
})

test.each([TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError])(
  'a built-in class survives: %o',
  (Builtin) => {
    class Derived extends Builtin {}
    expect(travel(new Derived('x'))).toBeInstanceOf(Builtin)
    expect((travel(new Derived('x')) as Error).name).toBe(Builtin.name)
  },
)

test('causes survive up to a limit of depth, including a cause that is not an Error', () => {
  const error = new Error('outer', { cause: new SyntaxError('middle', { cause: 'inner' }) })
  const { cause } = travelled(error)
  expect(cause).toBeInstanceOf(SyntaxError)
  expect(cause).toMatchObject({ message: 'middle', cause: 'inner' })
  expect(Object.keys(travelled(error))).toEqual([])
})

test('an error without a cause gets none', () => {
  expect('cause' in travelled(new Error('alone'))).toBe(false)
})

test('an AggregateError keeps its parts', () => {
  const revived = travelled(new AggregateError([new TypeError('a'), 'b'], 'all failed', { cause: new Error('c') }))
  expect(revived).toBeInstanceOf(AggregateError)
  expect(revived).toMatchObject({ message: 'all failed', cause: { message: 'c' } })
  expect(revived['errors']).toEqual([new TypeError('a'), 'b'])
  expect((revived['errors'] as unknown[])[0]).toBeInstanceOf(TypeError)
})

test('a PikoError stays one, with details and cause', () => {
  const revived = travelled(
    new PikoError('SINK_FAILED', 'no', { details: { sink: 'orders' }, cause: new Error('why') }),
  )
  expect(revived).toBeInstanceOf(PikoError)
  expect(isPikoError(revived, 'SINK_FAILED')).toBe(true)
  expect(revived).toMatchObject({ details: { sink: 'orders' }, cause: { message: 'why' } })
})

test('a PikoError with a code unknown to this version keeps code and name', () => {
  const revived = travelled(Object.assign(new Error('new'), { name: 'PikoError', code: 'FROM_THE_FUTURE' }))
  expect(revived).toMatchObject({ name: 'PikoError', code: 'FROM_THE_FUTURE' })
  expect(isPikoError(revived)).toBe(true)
})

test('an AbortError stays a DOMException', () => {
  const revived = travel(new DOMException('stop', 'AbortError'))
  expect(revived).toBeInstanceOf(DOMException)
  expect(revived).toMatchObject({ name: 'AbortError', message: 'stop', code: 20 })
})

test("a property that can't be cloned is left out, the others are kept", () => {
  const revived = travelled(Object.assign(new Error('x'), { socket: () => 1, port: 80 }))
  expect(revived).toHaveProperty('port', 80)
  expect(revived).not.toHaveProperty('socket')
})

test('an error that is its own cause does not hang', () => {
  const error = new Error('loop')
  error.cause = new Error('inner', { cause: error })
  expect(travelled(error).cause).toMatchObject({ message: 'inner' })
  expect('cause' in (travelled(error).cause as Error)).toBe(false)
})

test("a value that is not an Error arrives unchanged, or as a description when it can't be cloned", () => {
  expect(travel('text')).toBe('text')
  expect(travel(undefined)).toBe(undefined)
  expect(travel({ status: 500 })).toEqual({ status: 500 })
  expect(travel(function bad() {})).toBe('function bad')
})

test('errors of errors, nine deep, and an error that contains itself arrive in part', () => {
  let deep = new Error('innermost')
  for (let depth = 0; depth < 9; depth += 1) deep = new AggregateError(Array.from({ length: 10 }, () => deep))
  const began = performance.now()
  expect((travelled(deep)['errors'] as unknown[]).at(-1)).toMatch(/^and \d more errors$/)
  const cycle = new AggregateError([])
  for (let index = 0; index < 10; index += 1) cycle.errors.push(cycle)
  expect(travelled(cycle)['errors']).toEqual(['and 10 more errors'])
  expect(performance.now() - began).toBeLessThan(20_000)
})
