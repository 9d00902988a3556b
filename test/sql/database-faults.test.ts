import { describe, expect, it } from 'vitest'
import {
  databaseFault,
  endsTransaction,
  isConnectionLost,
  isFaultOfItem,
  isRefusal,
  isRefusedValue,
  UnstorableValue,
} from '../../src/sql/database-faults.ts'
import { PikoError } from '../../src/errors.ts'

const server = (errno: number, message = ''): Error => Object.assign(new Error(message), { errno, sqlState: 'HY000' })
const sqlite = (errcode: number): Error => Object.assign(new Error('sqlite'), { errcode })

describe('the meaning of a database error', () => {
  it.each([
    ['outage', [1040, 1047, 1053, 1180, 1203, 1836, 1927, 3100, 3168, 4031]],
    ['contention', [1020, 1205, 1213, 1317, 1615, 3101, 3572]],
    ['data', [1048, 1062, 1153, 1264, 1366, 1406, 4025]],
    ['programming', [1045, 1054, 1064, 1142, 1146]],
  ] as const)('%s, by the numbers of MySQL and MariaDB', (fault, numbers) => {
    for (const number of numbers) expect([number, databaseFault(server(number))]).toEqual([number, fault])
  })

  it('is an outage if the connection broke or could not be opened, but not for a wrong password', () => {
    const broken = ['ECONNREFUSED', 'ETIMEDOUT', 'ECONNRESET', 'PROTOCOL_CONNECTION_LOST']
    for (const code of broken) {
      const error = Object.assign(new Error(code), { code, errno: -111, fatal: true })
      expect([databaseFault(error), isConnectionLost(error), isRefusal(error)]).toEqual(['outage', true, false])
    }
    const denied = Object.assign(server(1045), { fatal: true })
    expect([databaseFault(denied), isConnectionLost(denied)]).toEqual(['programming', false])
  })

  it('depends on the message if a number has several meanings', () => {
    const readOnly = server(1290, 'The MariaDB server is running with the --read-only option so it cannot execute this')
    const other = server(
      1290,
      'The MySQL server is running with the --secure-file-priv option so it cannot execute this',
    )
    expect([databaseFault(readOnly), databaseFault(other)]).toEqual(['outage', undefined])
  })

  it('is found through causes, and in Piko’s own errors', () => {
    expect(databaseFault(new Error('cannot book', { cause: server(1213) }))).toBe('contention')
    expect(databaseFault(new PikoError('DATABASE_UNREACHABLE', 'no connection'))).toBe('outage')
    expect(isConnectionLost(new PikoError('DATABASE_UNREACHABLE', 'no connection'))).toBe(false)
    expect([databaseFault(new Error('of the user')), databaseFault('text'), databaseFault(undefined)]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('is known for SQLite too, by the low byte', () => {
    const codes = [5, 261, 6, 10, 522, 13, 14, 19, 2067]
    expect(codes.map((code) => databaseFault(sqlite(code)))).toEqual([
      ...['contention', 'contention', 'contention'],
      ...['outage', 'outage', 'outage', 'outage', 'data', 'data'],
    ])
  })

  it('includes certainties: refused before execution, or rolled back as a whole', () => {
    expect([1047, 1040, 1836, 1180, 1053].map((errno) => isRefusal(server(errno)))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ])
    expect([1213, 3101, 1020, 1205, 1317].map((errno) => endsTransaction(server(errno)))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ])
  })

  it('is a refused value if the database, a driver or Piko does not accept it, never for a fault of the code', () => {
    const thrownBy = (work: () => unknown): unknown => {
      try {
        return work()
      } catch (error) {
        return error
      }
    }
    const refused = [
      server(1406),
      server(4_999),
      sqlite(19),
      new UnstorableValue('too far'),
      new PikoError('USAGE', 'no JSON'),
      thrownBy(() => new Date(Number.NaN).toISOString()),
      thrownBy(() => 'x'.repeat(2 ** 30)),
      thrownBy(() => Buffer.from(5 as never)),
    ]
    expect(refused.map((error) => [isRefusedValue(error), isFaultOfItem(error)])).toEqual(
      refused.map(() => [true, true]),
    )
    const recurse = (): number => recurse() + 1
    const faults = [
      thrownBy(() => (undefined as unknown as Date).getTime()),
      thrownBy(recurse),
      thrownBy(() => (5 as unknown as () => void)()),
    ]
    expect(faults.map((error) => [isRefusedValue(error), isFaultOfItem(error)])).toEqual(
      faults.map(() => [false, true]),
    )
    const others = [server(1205), server(1047), server(1054), new Error('unknown'), 'a text', undefined]
    expect(others.map((error) => [isRefusedValue(error), isFaultOfItem(error)])).toEqual(
      others.map(() => [false, false]),
    )
  })
})
