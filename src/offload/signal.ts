import { AsyncLocalStorage } from 'node:async_hooks'

const runSignal = new AsyncLocalStorage<AbortSignal>()

/**
 * Calls `fn` with `signal` as the ambient signal: every offloaded call made inside, however deep, ends when it aborts.
 * The engine wraps each handler so that a run's timeout or cancel reaches its threads.
 */
export function withOffloadSignal<T>(signal: AbortSignal, fn: () => T): T {
  return runSignal.run(signal, fn)
}

/** The ambient signal joined with a call's own. */
export function callSignal(own: AbortSignal | undefined): AbortSignal | undefined {
  const ambient = runSignal.getStore()
  if (ambient === undefined || own === undefined) return own ?? ambient
  return AbortSignal.any([ambient, own])
}
