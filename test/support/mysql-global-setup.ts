import { createConnection, type RowDataPacket } from 'mysql2/promise'
import type { TestProject } from 'vitest/node'
import { parseDsn } from '../../src/settings/dsn.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { startMysqlServer } from './mysql-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `mysql://user:password@host:port` of the server that all tests share. */
    mysqlDsn: string
    /** Statements that create the migrated tables in an empty database, in a third of the time of the migrations. */
    mysqlTables: readonly string[]
  }
}

interface NamedTable extends RowDataPacket {
  readonly name: string
}

interface CreatedTable extends RowDataPacket {
  readonly 'Create Table': string
}

const TEMPLATE = `piko_test_template_${process.pid}`

/** One server for the whole test run; `databases.ts` creates separate databases on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startMysqlServer()
  project.provide('mysqlDsn', server.dsn)
  project.provide('mysqlTables', await migratedTables(server.dsn))
  return async () => {
    const connection = await createConnection(server.dsn)
    await connection.query(`DROP DATABASE IF EXISTS ${TEMPLATE}`)
    await connection.end()
    await server.stop()
  }
}

async function migratedTables(dsn: string): Promise<string[]> {
  const connection = await createConnection(dsn)
  await connection.query(`CREATE DATABASE ${TEMPLATE} CHARACTER SET utf8mb4`)
  const database = await openDatabase({
    mysql: {
      ...parseDsn(`${dsn.replace(/\/$/, '')}/${TEMPLATE}`),
      ...{ poolSize: 1, poolRecycleMs: 0, connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 },
    },
  })
  await migrate(database, { direction: 'up' })
  await database.close()
  await connection.query(`USE ${TEMPLATE}`)
  const [tables] = await connection.query<NamedTable[]>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
  )
  const statements: string[] = []
  for (const { name } of tables) {
    const [[table]] = await connection.query<CreatedTable[]>(`SHOW CREATE TABLE ${name}`)
    if (!table) throw new Error(`the template has no table ${name}`)
    statements.push(table['Create Table'], `INSERT INTO ${name} SELECT * FROM ${TEMPLATE}.${name}`)
  }
  await connection.end()
  return statements
}
