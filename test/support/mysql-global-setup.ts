import { type TestProject } from 'vitest/node'
import { startMysqlServer } from './mysql-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `mysql://user:password@host:port` of the server that the tests share. */
    mysqlDsn: string
  }
}

/** One server for the whole test run; see `databases.ts` for a database of one's own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startMysqlServer()
  project.provide('mysqlDsn', server.dsn)
  return () => server.stop()
}
