// The public API of `piko/offload`. It loads quickly, because threads also import it.
export { file, type FileOptions, type OffloadFile } from './file.ts'
export { move } from './move.ts'
export {
  offload,
  type OffloadCallOptions,
  type Offloaded,
  type OffloadHandle,
  type OffloadHandleOptions,
  type OffloadMapOptions,
  type OffloadStream,
} from './offload.ts'
export type { OffloadPool, OffloadStats } from './offload-pool.ts'
export type { OffloadOptions } from './pool/pool-options.ts'
export { closeOffload, configureOffload, offloadPool, type OffloadPoolOptions } from './pools.ts'
export { progress, threadSignal } from './thread/current-call.ts'
