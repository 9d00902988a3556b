import { AsyncLocalStorage } from 'node:async_hooks'
import { propertyOf } from '../errors-read.ts'
import type { Progress } from './protocol.ts'

/** What offloaded calls need from their run. */
export interface AmbientRun {
  readonly signal: AbortSignal
  /** The job of the run. The calls use this job's share of a pool. */
  readonly jobId?: string
  readonly progress?: (...progress: Progress) => void
}

/** A run, or a part of a run with its own signal. The handler may be running or may have ended. */
export class RunScope {
  readonly run: AmbientRun
  /** The scope of the run to which this part belongs. A run's own scope is its owner. */
  readonly owner: RunScope
  isOver = false
  #ends: Set<() => void> | undefined

  constructor(run: AmbientRun, owner?: RunScope) {
    this.run = run
    this.owner = owner ?? this
  }

  /**
   * Calls `end` when the handler of the run has ended, whatever the outcome.
   *
   * @returns a function that cancels this
   */
  atEnd(end: () => void): () => void {
    if (this.isOver) {
      end()
      return () => {}
    }
    const ends = (this.#ends ??= new Set())
    ends.add(end)
    return () => ends.delete(end)
  }

  end(): void {
    this.isOver = true
    const ends = this.#ends ?? []
    this.#ends = undefined
    for (const end of ends) end()
  }
}

const scopes = new AsyncLocalStorage<RunScope | undefined>()

/**
 * Whether runs get an ambient signal. They get none until an offload handle or a transaction needs it, because it costs each run about 800
 * bytes and 0.4 µs.
 */
let isWanted = false
/** The run whose handler is still in its first synchronous part; used only while signals are not wanted. */
let beginning: AmbientRun | undefined
/** The scope of the run whose handler was the first code to want signals. */
let first: RunScope | undefined

/** Gives an ambient signal to every run that begins after this, and to the run whose handler calls this before its first `await`. */
export function wantRunSignals(): void {
  if (isWanted) return
  isWanted = true
  if (!beginning) return
  first = new RunScope(beginning)
  scopes.enterWith(first)
}

/**
 * Calls `fn` with the run's signal as the ambient signal: its abort ends every offloaded call made inside `fn`, at any depth. The engine
 * wraps each handler in this call, so a run's timeout or cancel reaches its threads. The signal is read only when it is needed. If a part
 * of a run has its own signal, the part still belongs to the run's job.
 */
export function withRunSignal<T>(run: AmbientRun, fn: () => T): T {
  if (!isWanted) return begun(run, fn)
  if (run.jobId === undefined) return scopes.run(new RunScope(run, scopes.getStore()?.owner), fn)
  const scope = new RunScope(run)
  const result = scopes.run(scope, fn)
  endWith(result, scope)
  return result
}

/** Calls `fn` without a scope, unless `fn` is the first code that wants one. */
function begun<T>(run: AmbientRun, fn: () => T): T {
  const outer = beginning
  let result: T
  let scope: RunScope | undefined
  beginning = run
  try {
    result = fn()
  } finally {
    beginning = outer
    scope = first
    first = undefined
    // The code that called the handler must not get the scope of the run.
    if (scope) scopes.enterWith(undefined)
  }
  if (scope) endWith(result, scope)
  return result
}

function endWith(result: unknown, scope: RunScope): void {
  if (result instanceof Promise) {
    const over = (): void => scope.end()
    result.then(over, over)
    // Calling `then` of another thenable could start its work a second time.
  } else if (!isThenable(result)) scope.end()
}

/** Returns the scope of the run to which the current work belongs. */
export function currentScope(): RunScope | undefined {
  return scopes.getStore()?.owner
}

/** Returns a signal that joins the ambient signal and the call's own. */
export function callSignal(own: AbortSignal | undefined): AbortSignal | undefined {
  const ambient = scopes.getStore()?.run.signal
  if (ambient === undefined || own === undefined) return own ?? ambient
  return AbortSignal.any([ambient, own])
}

function isThenable(value: unknown): boolean {
  return typeof propertyOf(value, 'then') === 'function'
}
