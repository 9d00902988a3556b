import { randomUUID } from 'node:crypto'
import { CompiledQuery } from 'kysely'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { ConnectionReport } from '../../../src/engine/node/connection-report.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Events } from '../../../src/events.ts'
import { type Database, openDatabase } from '../../../src/store/connection/database.ts'
import { connectionColumns } from '../../../src/store/nodes/end-connections.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeMysql } from '../../support/databases.ts'

describeMysql((fixture) => {
  let other: Database
  let database: Database
  let nodeId = ''

  beforeEach(async () => {
    other ??= await fixture.open()
    await fixture.empty()
    database = await openDatabase(fixture.options)
    onTestFinished(() => database.close())
    nodeId = await registered()
  })

  async function registered(): Promise<string> {
    const id = randomUUID()
    await storeOn(other).nodes.register({ id, host: 'h', pid: 1 }, 60_000)
    return id
  }

  async function startReport(): Promise<Events> {
    const events = new Events()
    const report = new ConnectionReport({
      ...{ nodes: storeOn(database).nodes, database, nodeId: () => nodeId },
      ...{ clock: systemClock, events, loops: new LoopHealth({ clock: systemClock, events }) },
    })
    await report.start()
    onTestFinished(() => report.stop())
    return events
  }

  const stored = async (): Promise<unknown> =>
    (await other.sql.query('SELECT connections FROM piko_node WHERE id = ?', [nodeId]))[0]?.['connections']
  const queries = (count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, () => database.sql.query('SELECT CONNECTION_ID() AS id, SLEEP(0.05)')))

  it('has stored the ids of the open connections when it has started', async () => {
    await queries(2)
    await startReport()
    expect(await stored()).toBe(database.connectionIds().join(','))
  })

  it('stores the id of a new connection before the connection is used', async () => {
    await startReport()
    const { onConnection } = database
    const { promise: opened, resolve: tell } = Promise.withResolvers<void>()
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    database.onConnection = async (query) => {
      tell()
      await held
      await onConnection(query)
    }
    let isUsed = false
    const [earlier] = database.connectionIds()
    const used = Promise.all([0, 1].map(() => database.sql.query('SELECT CONNECTION_ID() AS id, SLEEP(0.05)'))).then(
      async (answers) => {
        isUsed = true
        return { ids: answers.map(([row]) => row?.['id']), stored: await stored() }
      },
    )
    await opened
    await other.sql.query('SELECT SLEEP(0.2)')
    expect(isUsed).toBe(false)
    release()
    const { ids, stored: then } = await used
    expect(ids).toContain(earlier)
    expect(then).toBe(database.connectionIds().join(','))
  })

  it('repeats the statement if the server refused it', async () => {
    await startReport()
    const { onConnection } = database
    let failures = 0
    database.onConnection = (query) => {
      if (failures++ === 0) return onConnection(() => query(CompiledQuery.raw('SELECT nothing')))
      return onConnection(query)
    }
    await queries(2)
    expect(failures).toBeGreaterThan(0)
    await expect.poll(stored, { timeout: 60_000 }).toBe(database.connectionIds().join(','))
  })

  it('opens another connection if a new one breaks', async () => {
    await startReport()
    const { onConnection } = database
    const broken: Promise<unknown>[] = []
    database.onConnection = (query) => {
      if (broken.length > 0) return onConnection(query)
      const killed = onConnection(async (statement) => {
        const [row] = (await query(CompiledQuery.raw('SELECT CONNECTION_ID() AS id'))) as { id: number }[]
        await other.sql.exec(`KILL CONNECTION ${row?.id}`)
        await query(statement)
      })
      broken.push(killed)
      return killed
    }
    await queries(2)
    expect(broken).toHaveLength(1)
    await expect(broken[0]).rejects.toThrow()
    expect(await stored()).toBe(database.connectionIds().join(','))
  })

  it('stores the ids of all connections that are opened at the same time', async () => {
    await startReport()
    await queries(5)
    const ids = database.connectionIds()
    expect(ids.length).toBeGreaterThan(2)
    expect(await stored()).toBe(ids.join(','))
  })

  it('stores them in the row of the new id of a node that lost its lease', async () => {
    const events = await startReport()
    const lost = nodeId
    nodeId = await registered()
    events.emit('node.lost', { nodeId: lost, newNodeId: nodeId })
    await expect.poll(stored, { timeout: 60_000 }).toBe(database.connectionIds().join(','))
  })

  it('does not store the ids of a proxy, which are not those of the server', async () => {
    await startReport()
    await other.db
      .updateTable('piko_node')
      .set(connectionColumns([1, 2]))
      .execute()
    expect(await stored()).toBeNull()
  })
})
