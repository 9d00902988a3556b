// Threads load this module, so it may import only modules whose types Node can strip.
import { nodeSqlite } from '../../../sql/node-sqlite.ts'
import { lostFile, type OpenedFile } from './sqlite-files.ts'

export interface CheckpointRequest {
  readonly path: string
  /** The files of the store when it was opened. */
  readonly files: readonly OpenedFile[]
}

/** Copies the log of a database file to the file itself, as far as no reader needs it. Neither waits for other connections nor makes them wait. */
export function checkpointFile({ path, files }: CheckpointRequest): void {
  // If there is no file at the path, opening it would create one.
  if (lostFile(files)) return
  const database = new (nodeSqlite().DatabaseSync)(path)
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } finally {
    database.close()
  }
}
