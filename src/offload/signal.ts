import { AsyncLocalStorage } from 'node:async_hooks'

/** Set with the first offload handle. Until then nothing needs the signal, and keeping it costs each run about 800 bytes. */
let isWanted = false

/** Gives an ambient signal to every run that begins after this. */
export function wantRunSignals(): void {
  isWanted = true
}

const runs = new AsyncLocalStorage<{ readonly signal: AbortSignal }>()

/**
 * Calls `fn` with the run's signal as the ambient one: its abort ends every offloaded call made inside, however deep. The engine wraps each
 * handler, so a run's timeout or cancel reaches its threads. The signal is read only when first needed.
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
