import { expect, it } from 'vitest'
import { rowBytes } from '../../src/sink/row-bytes.ts'

it.each<[string, unknown, number]>([
  ['a text', 'x'.repeat(1_000), 1_000],
  ['binary data', Buffer.alloc(5_000), 5_000],
  ['numbers', { a: 1, b: 2n, c: true, d: null, e: undefined }, 48],
  ['nested texts', { a: ['x'.repeat(100), { b: 'y'.repeat(200) }], c: new Map([['key', 'z'.repeat(300)]]) }, 635],
])('measures %s', (_what, row, bytes) => expect(rowBytes(row)).toBe(bytes))

it('measures a row that contains itself, or that throws when it is read', () => {
  const own: { self?: unknown; text: string } = { text: 'x'.repeat(50) }
  own.self = own
  expect(rowBytes(own)).toBeGreaterThan(50)
  const hostile = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no')
      },
    },
  )
  const getter = {
    get text(): string {
      throw new Error('no')
    },
  }
  for (const row of [hostile, getter, { hostile, getter }]) expect(rowBytes(row)).toBeGreaterThan(0)
})
