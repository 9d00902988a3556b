import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPikoError } from '../../src/errors.ts'
import { parseDsn } from '../../src/settings/dsn.ts'

const failure = (dsn: string): string => {
  try {
    parseDsn(dsn)
  } catch (error) {
    if (isPikoError(error, 'SETTINGS_INVALID')) return error.message
    throw error
  }
  throw new Error('the DSN was accepted')
}

describe('a DSN', () => {
  test.each(['mysql', 'mariadb', 'mysql+aiomysql', 'mysql+asyncmy', 'mysql+pymysql', 'MySQL'])(
    'accepts the scheme %s',
    (scheme) => {
      expect(parseDsn(`${scheme}://me:pw@db.example:3307/orders?charset=utf8mb4&x=a%20b`)).toEqual({
        host: 'db.example',
        port: 3307,
        user: 'me',
        password: 'pw',
        database: 'orders',
        params: { charset: 'utf8mb4', x: 'a b' },
      })
    },
  )

  test.each([
    ['mysql://db/orders', { host: 'db', port: 3306, user: '', password: '', database: 'orders', params: {} }],
    ['mysql://me@db/orders', { user: 'me', password: '' }],
    ['mysql://me:@db/orders', { user: 'me', password: '' }],
    ['mysql://[::1]:3307/orders', { host: '::1', port: 3307 }],
    ['mysql://my_db/orders', { host: 'my_db' }],
    ['mysql://m%40corp:p%2F%3A%25%C3%A9@db/or%20ders', { user: 'm@corp', password: 'p/:%é', database: 'or ders' }],
    ['mysql://me:p@ss:word@db/orders', { host: 'db', user: 'me', password: 'p@ss:word' }],
    ['mysql://me:a+b@db/orders?x=1&x=2&empty', { password: 'a+b', params: { x: '2', empty: '' } }],
  ])('accepts %s', (dsn, parts) => {
    expect(parseDsn(dsn)).toMatchObject(parts)
  })

  test.each([
    ['me:pw@db/orders', 'expected mysql://user:password@host:3306/database'],
    ['postgresql://db/orders', 'its scheme is "postgresql"; expected one of mysql, mariadb, mysql+aiomysql'],
    ['mysql+mysqldb://db/orders', 'its scheme is "mysql+mysqldb"'],
    ['mysql:///orders', 'it names no host'],
    ['mysql://me:pw@/orders', 'it names no host'],
    ['mysql://:3306/orders', 'it names no host'],
    ['mysql://[::1/orders', 'its host is malformed'],
    ['mysql://db:0/orders', 'its port is not a number from 1 to 65535'],
    ['mysql://db:65536/orders', 'its port is not a number from 1 to 65535'],
    ['mysql://db:/orders', 'its port is not a number from 1 to 65535'],
    ['mysql://db:port/orders', 'its port is not a number from 1 to 65535'],
    ['mysql://db', 'it names no database'],
    ['mysql://db/', 'it names no database'],
    ['mysql://db/a/b', 'its path has more than one part'],
    ['mysql://me:50%@db/orders', 'write a literal "%" as %25'],
    ['mysql://me:a/b@db/orders', 'write %2F, %3F, %23 or %40 in a password'],
    ['mysql://me:1/b@db', 'write %2F, %3F, %23 or %40 in a password'],
    ['mysql://me:a?b@db/orders', 'write %2F, %3F, %23 or %40 in a password'],
    ['mysql://me:a#b@db/orders', 'write %2F, %3F, %23 or %40 in a password'],
  ])('refuses %s: %s', (dsn, complaint) => {
    expect(failure(dsn)).toContain(complaint)
  })

  test('decodes every percent-encoded part', () => {
    const part = fc.string({ unit: 'grapheme', minLength: 1 })
    fc.assert(
      fc.property(part, part, part, (user, password, database) => {
        const dsn = `mysql://${[user, password].map(encodeURIComponent).join(':')}@db/${encodeURIComponent(database)}`
        expect(parseDsn(dsn)).toMatchObject({ user, password, database, host: 'db' })
      }),
    )
  })
})
