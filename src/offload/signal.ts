import { AsyncLocalStorage } from 'node:async_hooks'
import type { Progress } from './protocol.ts'

/** What an offloaded call takes from the run that makes it. */
export interface AmbientRun {
  readonly signal: AbortSignal
  /** The job whose share of a pool its calls take. */
  readonly jobId?: string
  readonly progress?: (...progress: Progress) => void
}

interface Scope {
  readonly run: AmbientRun
  readonly owner: AmbientRun
}

/** Set with the first offload handle. Until then nothing needs the signal, and keeping it costs each run about 800 bytes. */
let isWanted = false

/** Gives an ambient signal to every run that begins after this. */
export function wantRunSignals(): void {
  isWanted = true
}

const scopes = new AsyncLocalStorage<Scope>()

/**
 * Calls `fn` with the run's signal as the ambient one: its abort ends every offloaded call made inside, however deep. The engine wraps each
 * handler, so a run's timeout or cancel reaches its threads. The signal is read only when first needed. A scope inside a run, with a signal
 * of its own, still belongs to the run's job.
 */
export function withRunSignal<T>(run: AmbientRun, fn: () => T): T {
  if (!isWanted) return fn()
  const owner = run.jobId === undefined ? (scopes.getStore()?.owner ?? run) : run
  return scopes.run({ run, owner }, fn)
}

/** The run that the current work belongs to. */
export function currentRun(): AmbientRun | undefined {
  return scopes.getStore()?.owner
}

/** The ambient signal joined with a call's own. */
export function callSignal(own: AbortSignal | undefined): AbortSignal | undefined {
  const ambient = scopes.getStore()?.run.signal
  if (ambient === undefined || own === undefined) return own ?? ambient
  return AbortSignal.any([ambient, own])
}
