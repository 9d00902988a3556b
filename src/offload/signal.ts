import { AsyncLocalStorage } from 'node:async_hooks'
import { propertyOf } from '../errors-read.ts'
import type { Progress } from './protocol.ts'

/** The parts of a run that its offloaded calls use. */
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

/** Set by the first offload handle. Before it exists no code needs the signal, which costs each run about 800 bytes. */
let isWanted = false

/** Gives an ambient signal to every run that begins after this. */
export function wantRunSignals(): void {
  isWanted = true
}

const scopes = new AsyncLocalStorage<Scope>()

/** The functions to call when the handler of a run ends. */
const endings = new WeakMap<AmbientRun, Set<() => void>>()
/** The runs whose handlers have ended. */
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
  // Calling `then` of another thenable could start its work a second time.
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
