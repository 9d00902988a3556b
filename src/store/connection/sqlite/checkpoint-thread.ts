// The entry point of the worker thread that checkpointer.ts starts. Node strips the types, so this module imports only modules whose types
// can be stripped.
import { workerData } from 'node:worker_threads'
import { nodeSqlite } from '../../../sql/node-sqlite.ts'
import { lostFile, type OpenedFile } from './sqlite-files.ts'

export interface CheckpointRequest {
  readonly path: string
  /** The files of the store when it was opened. */
  readonly files: readonly OpenedFile[]
}

const { path, files } = workerData as CheckpointRequest
// If there is no file at the path, opening it would create one.
if (!lostFile(files)) {
  const database = new (nodeSqlite().DatabaseSync)(path)
  try {
    // A passive checkpoint neither waits for other connections nor makes them wait.
    database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } finally {
    database.close()
  }
}
