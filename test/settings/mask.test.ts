import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maskDsn, maskText } from '../../src/settings/mask.ts'

describe('a masked DSN', () => {
  test.each([
    ['', ''],
    ['mysql://me:pw@db:3306/orders', 'mysql://me:***@db:3306/orders'],
    ['mysql+aiomysql://me:pw@db/orders?charset=utf8mb4', 'mysql+aiomysql://me:***@db/orders?***'],
    ['mysql://me@db/orders', 'mysql://me@db/orders'],
    ['mysql://db:3306/orders', 'mysql://db:3306/orders'],
    ['mysql://[::1]:3306/orders', 'mysql://[::1]:3306/orders'],
    ['mysql://me:p@w/x@db/orders', 'mysql://me:***@db/orders'],
    ['mysql://me:pw', 'mysql://***'],
    ['mysql://me:p?w@db/orders', 'mysql://***'],
    ['mysql://me:pw@db/orders?password=a@b', 'mysql://***'],
    ['mysql://db/orders#a@b', 'mysql://***'],
    ['me:pw@db/orders', '***'],
    ['mysql:/me:pw@db/orders', '***'],
  ])('of %j is %j', (dsn, masked) => {
    expect(maskDsn(dsn)).toBe(masked)
  })

  test('never shows a password, in any notation', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'aZ9@:/?#%[]&= \n') }),
        fc.constantFrom('@db:3306/orders', '@db/orders?ssl=1', '@db', '@', ''),
        (noise, rest) => {
          // Without a host, text after a raw "@" looks like one.
          fc.pre(rest !== '' || !noise.includes('@'))
          const masked = maskDsn(`mysql://me:SECRET${noise}SECRET${rest}`)
          expect(masked).not.toContain('SECRET')
        },
      ),
    )
  })

  test('shows no query parameter', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aZ9@:/?#%&=') }), (noise) => {
        expect(maskDsn(`mysql://me:pw@db/orders?${noise}SECRET`)).not.toContain('SECRET')
      }),
    )
  })
})

test('masks any string that looks like a URL, and no other', () => {
  expect(maskText('redis://:pw@cache')).toBe('redis://:***@cache')
  expect(maskText('jobs/**/*.ts')).toBe('jobs/**/*.ts')
})

test.each([
  ['db password=s3cr3t', 'db password=[redacted]'],
  ['{"token":"s3cr3t"}', '{"token":"[redacted]"}'],
  ['Authorization: Bearer abcdefgh', 'Authorization: [redacted]'],
  ['AKIAIOSFODNN7EXAMPLE', '[redacted]'],
])('the text %j hides the same secrets as a log', (text, masked) => {
  expect(maskText(text)).toBe(masked)
})
