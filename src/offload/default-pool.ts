import { type OffloadOptions, OffloadPool } from './offload-pool.ts'

/**
 * The process's pool. It is the one global of the package: an `offload()` handle is declared at module level, before there
 * is an app that could own a pool, and processors belong to the process, not to an app. It holds no thread until the first
 * call. Two apps in one process share it, and an app that stops closes it for both; the other's next call opens it again.
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
