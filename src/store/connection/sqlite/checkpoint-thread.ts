// The entry point of the worker thread that checkpointer.ts starts. Node strips the types, so this module imports only modules whose types
// can be stripped.
import { workerData } from 'node:worker_threads'
import { checkpointFile, type CheckpointRequest } from './checkpoint-file.ts'

checkpointFile(workerData as CheckpointRequest)
