import fc from 'fast-check'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { jsonCopy } from '../../src/json/json-copy.ts'
import { smallCopy } from '../../src/json/small-copy.ts'

const MAX_BYTES = 60_000

describe('smallCopy', () => {
  it('returns the same as jsonCopy, or leaves the value to it, for any value', () => {
    const values = fc.anything({ withDate: true, withMap: true, withBigInt: true, withSparseArray: true })
    fc.assert(
      fc.property(values, (value) => {
        const copied = smallCopy(value, MAX_BYTES)
        if (copied === undefined) return
        expect(jsonCopy(value)).toStrictEqual({ value: copied, problems: [], converted: [] })
      }),
      { numRuns: 2_000 },
    )
  })

  it('never returns a value whose JSON exceeds the limit', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), fc.nat(500), (value, maxBytes) => {
        const copied = smallCopy(value, maxBytes)
        if (copied !== undefined) expect(Buffer.byteLength(JSON.stringify(copied))).toBeLessThanOrEqual(maxBytes)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['an ordinary input', { id: 1, name: 'a "quoted" name', tags: ['x', null, true], at: { x: -0.5 } }],
    ['an empty list', []],
    ['a text', 'text'],
    ['null', null],
  ])('copies %s itself', (_, value) => {
    const copied = smallCopy(value, MAX_BYTES)
    expect(copied).toStrictEqual(value)
    if (typeof value === 'object' && value !== null) expect(copied).not.toBe(value)
  })

  const cycle: unknown[] = []
  cycle.push(cycle, cycle)
  it.each([
    ['a Date', new Date(0)],
    ['an object with toJSON', { toJSON: () => 1 }],
    ['a property that is undefined', { a: undefined }],
    ['a hole', [, 1]],
    ['a key that is a symbol', { [Symbol('s')]: 1 }],
    ['the key __proto__', JSON.parse('{"__proto__": 1}')],
    ['an object of another realm', runInNewContext('({ a: 1 })')],
    [
      'an object of a class',
      new (class Point {
        x = 1
      })(),
    ],
    [
      'a getter that throws',
      {
        get a(): number {
          throw new Error('no')
        },
      },
    ],
    ['a proxy', new Proxy({ a: 1 }, {})],
    ['a list that contains itself', cycle],
    ['a long list', Array.from({ length: 10_000 }, () => 0)],
    ['a long text', 'x'.repeat(MAX_BYTES)],
  ])('leaves %s to jsonCopy', (_, value) => {
    expect(smallCopy(value, MAX_BYTES)).toBeUndefined()
  })
})
