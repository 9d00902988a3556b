import { expect, it } from 'vitest'
import { openDatabase } from '../../../../src/store/connection/database.ts'
import { poolWarning, requireConnections } from '../../../../src/store/connection/mysql/pool-size.ts'
import { createMysqlDatabase } from '../../../support/databases.ts'
import { rejected } from '../../../support/thrown.ts'

it.each([
  [10, 151],
  [150, 151],
  // A server that does not report its limit.
  [10, NaN],
])('accepts a pool of %d on a server that allows %d connections', (poolSize, most) => {
  requireConnections(poolSize, most, 'db:3306/piko')
})

it('refuses a pool that is larger than the server allows, with the numbers', async () => {
  const { options, drop } = await createMysqlDatabase()
  const error = await rejected(openDatabase({ mysql: { ...options, poolSize: 100_000 } }))
  expect(error).toMatchObject({ code: 'SETTINGS_INVALID', details: { poolSize: 100_000 } })
  expect(error.message).toMatch(
    /pool_size is 100000, and the heartbeat needs 1 more connection.*allows \d+ for all its clients/,
  )
  await drop()
})

it.each([
  [10, 100],
  [10, 200],
  [2, 40],
])('does not warn about %d connections for %d runs', (poolSize, concurrency) => {
  expect(poolWarning(poolSize, concurrency)).toBeUndefined()
})

it('says how many connections the runs need', () => {
  expect(poolWarning(10, 1_001)).toMatch(
    /^up to 1001 concurrent runs.*share 10 connections.*raise pool_size to 51 or lower concurrency to 200$/,
  )
})
