import { PikoError } from '../../../errors.ts'

/** Creates the error for a file of the database that was deleted, moved or replaced. SQLite would continue to write to the lost file. */
export function databaseGone({ path, how }: { readonly path: string; readonly how: string }): PikoError {
  const isLog = /-(?:wal|shm)$/.test(path)
  const then = isLog
    ? 'Piko stops, and SQLite writes the rest of the log into the database as it closes. Start again, and leave the files ' +
      'next to the database to SQLite'
    : 'Piko stops, because anything it stored from now on would be lost. Put the file back or restore a backup, then start ' +
      'again; if the file is missing, the next start creates an empty database'
  return new PikoError('DATABASE_GONE', `the SQLite file ${path} ${how} while it was open. ${then}`, {
    details: { path, how },
  })
}
