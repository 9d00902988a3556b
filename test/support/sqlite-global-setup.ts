import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A migrated SQLite file without rows. A copy takes a thousandth of the time of the migrations. */
    sqliteTemplate: string
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'piko-sqlite-template-'))
  const path = join(folder, 'piko.db')
  const database = await openDatabase({ sqlitePath: path })
  await migrate(database, { direction: 'up' })
  // Closing writes the log of the database into its file.
  await database.close()
  project.provide('sqliteTemplate', path)
  return () => rmSync(folder, { recursive: true, force: true })
}
