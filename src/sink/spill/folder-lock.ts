import { propertyOf } from '../../errors-read.ts'
import { nodeSqlite } from '../../sql/node-sqlite.ts'

/** The codes SQLITE_BUSY (another owner has the lock) and SQLITE_CANTOPEN (the folder no longer exists). */
const HELD_OR_GONE: readonly unknown[] = [5, 14]

/**
 * Locks a folder against every other process on this host, and against other apps in this process. It uses an SQLite lock on a file, so the
 * operating system releases it when the process ends, even after a crash.
 *
 * @returns a function that releases the lock; undefined if another owner has it or the folder no longer exists
 */
export function lockFolder(folder: string): (() => void) | undefined {
  const { DatabaseSync } = nodeSqlite()
  try {
    const database = new DatabaseSync(`${folder}/lock`)
    try {
      // Prevents SQLite from creating a journal file next to the lock file.
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
