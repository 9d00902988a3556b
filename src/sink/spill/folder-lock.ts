import { propertyOf } from '../../errors-read.ts'
import { nodeSqlite } from '../../sql/node-sqlite.ts'

/** SQLITE_BUSY: another owner; SQLITE_CANTOPEN: the folder is gone. */
const HELD_OR_GONE: readonly unknown[] = [5, 14]

/**
 * Locks a folder against every other process of this host, and against other apps in this one. The system releases the lock when the
 * process ends, however it ends: SQLite locks its file through the system.
 *
 * @returns a function that releases the lock; undefined if another owner holds it, or the folder is gone
 */
export function lockFolder(folder: string): (() => void) | undefined {
  const { DatabaseSync } = nodeSqlite()
  try {
    const database = new DatabaseSync(`${folder}/lock`)
    try {
      // No second file beside it.
      database.exec('PRAGMA journal_mode = MEMORY')
      database.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      throw error
    }
    return () => database.close()
  } catch (error) {
    if (HELD_OR_GONE.includes(propertyOf(error, 'errcode'))) return undefined
    throw error
  }
}
