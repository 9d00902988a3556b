import fc from 'fast-check'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { jsonCopy, pathText } from '../../src/json/json-copy.ts'

function problemsOf(value: unknown, maxBytes?: number): string[] {
  return jsonCopy(value, maxBytes).problems.map(({ path, text }) => `${pathText('$', path)} ${text}`)
}

class Point {
  readonly x = 1
  readonly y = 2
}

class Hidden {
  readonly #secret = 1
  reveal(): number {
    return this.#secret
  }
}

describe('jsonCopy', () => {
  it('returns the same as JSON, for any value that JSON can represent', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const { value: copied, problems } = jsonCopy(value)
        expect(problems).toEqual([])
        expect(copied).toStrictEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('agrees with JSON wherever it reports nothing, for any value', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withMap: true, withBigInt: true, withSparseArray: true }), (value) => {
        const { value: copied, problems } = jsonCopy(value)
        if (problems.length === 0) expect(copied).toStrictEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('omits undefined properties, and uses the toJSON of objects', () => {
    const own = { toJSON: (key: string) => ({ key }) }
    const value = {
      none: undefined,
      date: new Date(0),
      url: new URL('http://a/'),
      own,
      point: new Point(),
      minus: -0,
      boxed: Object('text') as unknown,
      bare: Object.assign(Object.create(null) as object, { a: 1 }),
      foreign: runInNewContext('({ a: [1] })') as unknown,
      half: '\ud800',
      shared: [own, own],
    }
    expect(problemsOf(value)).toEqual([])
    expect(jsonCopy(value).value).toStrictEqual(JSON.parse(JSON.stringify(value)))
    expect(jsonCopy(value).converted).toMatchObject([
      { path: ['date'], text: 'Date' },
      { path: ['url'], text: 'URL' },
      { path: ['own'], text: 'Object' },
      { path: ['shared', 0] },
      { path: ['shared', 1] },
    ])
  })

  it('keeps a key named __proto__ as a key', () => {
    const { value } = jsonCopy(JSON.parse('{"__proto__":{"a":1}}'))
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":1}}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  it('reports every value that JSON would lose or replace, with its place', () => {
    const loop: Record<string, unknown> = {}
    loop['self'] = { again: loop }
    const thrower = {
      get price(): number {
        throw new Error('no price')
      },
      good: 1,
    }
    const value = {
      map: new Map([[1, 2]]),
      'a set': new Set(),
      list: [1, undefined, NaN, , 5],
      infinite: -Infinity,
      big: 12n,
      fn: () => 1,
      symbol: Symbol('s'),
      late: new Date(NaN),
      error: Object.assign(new TypeError('x'), { code: 'E' }),
      bytes: new Uint8Array(2),
      hidden: new Hidden(),
      pattern: /x/,
      promise: Promise.resolve(1),
      loop,
      thrower,
      none: { toJSON: () => undefined },
    }
    expect(problemsOf(value)).toEqual([
      '$.map is a Map, of which JSON keeps nothing: pass Object.fromEntries(map)',
      '$["a set"] is a Set, of which JSON keeps nothing: pass [...set]',
      '$.list[1] is undefined, which JSON turns into null',
      '$.list[2] is NaN, which JSON turns into null',
      '$.list[3] is undefined, which JSON turns into null',
      '$.infinite is -Infinity, which JSON turns into null',
      "$.big is the BigInt 12, which JSON can't represent: pass it as a string",
      '$.fn is a function, which JSON leaves out',
      '$.symbol is a symbol, which JSON leaves out',
      '$.late is an invalid Date, which JSON turns into null',
      '$.error is an Error, of which JSON keeps no message: pass the message',
      "$.bytes is a Uint8Array, which JSON can't represent: pass a list, or base64 text",
      '$.hidden is a Hidden, of which JSON keeps nothing',
      '$.pattern is a RegExp, of which JSON keeps nothing: pass its source',
      '$.promise is a Promise, of which JSON keeps nothing: await it',
      "$.loop.self.again refers to an object that contains it, which JSON can't represent",
      "$.thrower.price can't be read: no price",
    ])
  })

  it.each<[string, unknown, string]>([
    ['a function', () => 1, '$ is a function, which JSON leaves out'],
    ['a symbol', Symbol('s'), '$ is a symbol, which JSON leaves out'],
    ['a BigInt', 1n, "$ is the BigInt 1, which JSON can't represent: pass it as a string"],
    ['nothing, says its toJSON', { toJSON: () => undefined }, '$ is undefined, which JSON turns into null'],
    [
      'a toJSON that throws',
      { toJSON: () => JSON.parse('') as unknown },
      "$ can't be read: Unexpected end of JSON input",
    ],
    ['a symbol as key', { [Symbol('k')]: 1 }, '$ has the key Symbol(k), which JSON leaves out'],
    ['a revoked proxy', revoked(), "$ can't be read: Cannot perform 'get' on a proxy that has been revoked"],
    [
      'a Map of another realm',
      runInNewContext('new Map()'),
      '$ is a Map, of which JSON keeps nothing: pass Object.fromEntries(map)',
    ],
  ])('refuses %s as a whole', (_name, value, problem) => {
    expect(problemsOf(value)).toEqual([problem])
  })

  it('reads each property once', () => {
    let reads = 0
    const value = {
      get count(): number {
        reads += 1
        return reads
      },
    }
    expect(jsonCopy(value).value).toEqual({ count: 1 })
    expect(reads).toBe(1)
  })

  it('ends quickly for endless, deep or multiplying values', () => {
    let deep: unknown = 1
    for (let level = 0; level < 100_000; level += 1) deep = [deep]
    expect(problemsOf(deep)[0]).toMatch(/is nested deeper than 500 levels$/)
    let wide: unknown = {}
    for (let level = 0; level < 60; level += 1) wide = [wide, wide]
    expect(problemsOf(wide, 60_000).at(-1)).toMatch(/takes more than 60000 bytes of JSON/)
    expect(problemsOf(new Array(4_000_000_000), 60_000)).toEqual([
      '$ takes more than 60000 bytes of JSON: store the data elsewhere and pass its location',
    ])
    expect(problemsOf(new Array(1_000))).toHaveLength(20)
    const endless: object = new Proxy({ next: 1 }, { get: (_, key) => (key === 'next' ? endless : undefined) })
    expect(problemsOf(endless)).toHaveLength(1)
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
