import { type OffloadOptions, OffloadPool } from './offload-pool.ts'

/**
 * The process's pool, and the only global of the package. An `offload()` handle is declared at module level, before an app exists that
 * could own a pool. Processors belong to the process, not to an app. The pool starts no thread before the first call. Two apps in one
 * process share it: an app that stops closes it for both, and the other's next call opens it again.
 */
export const defaultPool = new OffloadPool()

/** Sets the options of the process's pool; see {@link OffloadPool.configure}. */
export function configureOffload(options: OffloadOptions): void {
  defaultPool.configure(options)
}

/** Closes the process's pool; see {@link OffloadPool.close}. */
export function closeOffload(signal?: AbortSignal): Promise<void> {
  return defaultPool.close(signal)
}
