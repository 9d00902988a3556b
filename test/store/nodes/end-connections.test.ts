import { randomUUID } from 'node:crypto'
import { type Connection, createConnection } from 'mysql2/promise'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import { connectionOptions } from '../../../src/store/connection/mysql/mysql-pool.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually } from '../../support/app.ts'
import { createMysqlDatabase, describeMysql } from '../../support/databases.ts'

const SERVER = "CONCAT(@@hostname, ':', @@port)"

describeMysql((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  async function connect(options = fixture.options.mysql!): Promise<Connection> {
    const connection = await createConnection(connectionOptions(options))
    connection.on('error', () => undefined)
    onTestFinished(() => connection.destroy())
    return connection
  }

  /** A node whose row names these connections. */
  async function node(leaseMs: number, connections: readonly (Connection | number)[], more = ''): Promise<string> {
    const id = randomUUID()
    await storeOn(database).nodes.register({ id, host: 'h', pid: 1 }, leaseMs)
    const ids = connections.map((one) => (typeof one === 'number' ? one : one.threadId)).join(',')
    await database.sql.exec(`UPDATE piko_node SET connections = ?${more} WHERE id = ?`, [ids, id])
    return id
  }

  const isOpen = (connection: Connection): Promise<boolean> =>
    connection.ping().then(
      () => true,
      () => false,
    )

  it('ends the idle connections of a dead node, with their locks, and no others', async () => {
    const { nodes } = storeOn(database)
    const elsewhere = await createMysqlDatabase()
    onTestFinished(elsewhere.drop)
    const [held, live, running, foreign] = await Promise.all([
      connect(),
      connect(),
      connect(),
      connect(elsewhere.options),
    ])
    const own = database.connectionIds()
    await node(60_000, [live])
    const dead = await node(-1, [held, live, running, foreign, 4_000_000_000, ...own])
    await database.sql.exec("INSERT INTO piko_lock (name, expires_at) VALUES ('hot', UTC_TIMESTAMP(3))")
    const free = (): Promise<unknown[]> => database.sql.query('SELECT name FROM piko_lock FOR UPDATE SKIP LOCKED')
    await held.beginTransaction()
    await held.query('SELECT name FROM piko_lock FOR UPDATE')
    expect(await free()).toEqual([])
    const slept = running.query('SELECT SLEEP(8)')
    // Used a moment ago, so it is left for now.
    expect(await nodes.endConnections([dead])).toMatchObject({ count: 0, busy: new Set([dead]) })
    const ended = await eventually(async () => {
      const now = await nodes.endConnections([dead])
      expect(now.count).toBe(1)
      return now
    })
    expect(ended).toEqual({ count: 1, nodeIds: [dead], busy: new Set([dead]), denied: undefined })
    await eventually(async () => expect(await free()).toHaveLength(1))
    await slept
    expect(await Promise.all([held, live, running, foreign].map(isOpen))).toEqual([false, true, true, true])
  })

  it('ignores ids of another server, of an earlier start of this one, and text that a person has written', async () => {
    const { nodes } = storeOn(database)
    const kept = await connect()
    const dead = [
      await node(-1, [kept], ", connections_of = 'other:3306'"),
      await node(-1, [kept], `, connections_of = ${SERVER}, connections_at = '2020-01-01'`),
      await node(-1, [], ", connections = 'x, 1e3,-4,'"),
    ]
    await eventually(async () => {
      const [idle] = await database.sql.query('SELECT time AS s FROM information_schema.processlist WHERE id = ?', [
        kept.threadId,
      ])
      expect(Number(idle?.['s'])).toBeGreaterThan(4)
    })
    expect(await nodes.endConnections(dead)).toMatchObject({ count: 0, busy: new Set() })
    expect(await isOpen(kept)).toBe(true)
  })
})
