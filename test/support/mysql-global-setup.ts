import type { TestProject } from 'vitest/node'
import { startMysqlServer } from './mysql-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `mysql://user:password@host:port` of the server that all tests share. */
    mysqlDsn: string
  }
}

/** One server for the whole test run; `databases.ts` creates separate databases on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startMysqlServer()
  project.provide('mysqlDsn', server.dsn)
  return () => server.stop()
}
