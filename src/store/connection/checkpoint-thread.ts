// The thread of checkpointer.ts: only modules whose types can be stripped.
import { workerData } from 'node:worker_threads'
import { nodeSqlite } from './node-sqlite.ts'
import { lostFile, type OpenedFile } from './sqlite-files.ts'

export interface CheckpointRequest {
  readonly path: string
  /** What the path led to when the store was opened. */
  readonly files: readonly OpenedFile[]
}

const { path, files } = workerData as CheckpointRequest
// A connection to a path that leads nowhere would make a new file.
if (!lostFile(files)) {
  const database = new (nodeSqlite().DatabaseSync)(path)
  try {
    // Passive: it waits for nobody, and nobody waits for it.
    database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } finally {
    database.close()
  }
}
