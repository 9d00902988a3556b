// Runs in the guard thread, started by checkpointer.ts. In the source tree, Node itself strips the types, so this file imports only modules
// for which that works.
import type { MessagePort } from 'node:worker_threads'
import { checkpointFile, type CheckpointRequest } from './checkpoint-file.ts'

/** Runs one checkpoint, and closes the port. */
export function guard(port: MessagePort, request: CheckpointRequest): void {
  try {
    checkpointFile(request)
  } catch {
    // An error would end the thread, which also renews leases. Later commits encounter the same fault and report it.
  } finally {
    port.close()
  }
}
