import { AsyncLocalStorage } from 'node:async_hooks'
import { propertyOf } from '../errors-read.ts'
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

/** What the end of a run's handler ends, and the runs whose handlers have ended. */
const endings = new WeakMap<AmbientRun, Set<() => void>>()
const ended = new WeakSet<AmbientRun>()

/**
 * Calls `end` once the handler of the run has ended, in whatever way.
 *
 * @returns a function that prevents it
 */
export function atEndOf(run: AmbientRun, end: () => void): () => void {
  if (ended.has(run)) {
    end()
    return () => {}
  }
  const ends = endings.get(run) ?? new Set()
  endings.set(run, ends.add(end))
  return () => ends.delete(end)
}

function endOf(run: AmbientRun): void {
  ended.add(run)
  const ends = endings.get(run) ?? []
  endings.delete(run)
  for (const end of ends) end()
}

/**
 * Calls `fn` with the run's signal as the ambient one: its abort ends every offloaded call made inside, however deep. The engine wraps each
 * handler, so a run's timeout or cancel reaches its threads. The signal is read only when first needed. A scope inside a run, with a signal
 * of its own, still belongs to the run's job.
 */
export function withRunSignal<T>(run: AmbientRun, fn: () => T): T {
  if (!isWanted) return fn()
  if (run.jobId === undefined) return scopes.run({ run, owner: scopes.getStore()?.owner ?? run }, fn)
  const result = scopes.run({ run, owner: run }, fn)
  const over = (): void => endOf(run)
  if (result instanceof Promise) result.then(over, over)
  // To ask another thenable would start its work a second time.
  else if (!isThenable(result)) over()
  return result
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

function isThenable(value: unknown): boolean {
  return typeof propertyOf(value, 'then') === 'function'
}
