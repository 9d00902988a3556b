import { PikoError } from '../../errors.ts'

/** SQLite goes on writing into a file without a name, and all of it is lost when the last connection is closed. */
export function databaseGone({ path, how }: { readonly path: string; readonly how: string }): PikoError {
  const isLog = /-(?:wal|shm)$/.test(path)
  const then = isLog
    ? 'Piko stops, and SQLite writes what the log still held into the database as it closes. Start again, and leave the files ' +
      'beside the database to SQLite'
    : 'Piko stops: what it would store from now on is lost. Put the file back where it was, or restore a backup, and start ' +
      'again; without a file there, the next start begins with an empty database'
  return new PikoError('DATABASE_GONE', `the SQLite file ${path} ${how} while it was open. ${then}`, {
    details: { path, how },
  })
}
