import { AsyncLocalStorage } from 'node:async_hooks'

/** Nobody has any use for the signal before something is to be offloaded, and to keep it at hand costs each run some 800 bytes. */
let isWanted = false

/** From now on runs that begin have an ambient signal. */
export function wantRunSignals(): void {
  isWanted = true
}

const runs = new AsyncLocalStorage<{ readonly signal: AbortSignal }>()

/**
 * Calls `fn` with the run's signal as the ambient one: every offloaded call made inside, however deep, ends when it aborts.
 * The engine wraps each handler so that a run's timeout or cancel reaches its threads. The signal is read when it is needed first.
 */
export function withRunSignal<T>(run: { readonly signal: AbortSignal }, fn: () => T): T {
  return isWanted ? runs.run(run, fn) : fn()
}

/** The ambient signal joined with a call's own. */
export function callSignal(own: AbortSignal | undefined): AbortSignal | undefined {
  const ambient = runs.getStore()?.signal
  if (ambient === undefined || own === undefined) return own ?? ambient
  return AbortSignal.any([ambient, own])
}
