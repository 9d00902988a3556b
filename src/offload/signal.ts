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

/** A run whose handler is under way or has ended, or a part of it that has a signal of its own. */
export class RunScope {
  readonly run: AmbientRun
  /** The scope of the run that this part belongs to. A run's own scope is its owner. */
  readonly owner: RunScope
  isOver = false
  #ends: Set<() => void> | undefined

  constructor(run: AmbientRun, owner?: RunScope) {
    this.run = run
    this.owner = owner ?? this
  }

  /**
   * Calls `end` once the handler of the run has ended, in whatever way.
   *
   * @returns a function that prevents it
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

/** Set by the first offload handle. Before it exists no code needs the signal, which costs each run about 800 bytes. */
let isWanted = false

/** Gives an ambient signal to every run that begins after this. */
export function wantRunSignals(): void {
  isWanted = true
}

const scopes = new AsyncLocalStorage<RunScope>()

/**
 * Calls `fn` with the run's signal as the ambient one: its abort ends every offloaded call made inside, however deep. The engine wraps each
 * handler, so a run's timeout or cancel reaches its threads. The signal is read only when first needed. A scope inside a run, with a signal
 * of its own, still belongs to the run's job.
 */
export function withRunSignal<T>(run: AmbientRun, fn: () => T): T {
  if (!isWanted) return fn()
  if (run.jobId === undefined) return scopes.run(new RunScope(run, scopes.getStore()?.owner), fn)
  const scope = new RunScope(run)
  const result = scopes.run(scope, fn)
  if (result instanceof Promise) {
    const over = (): void => scope.end()
    result.then(over, over)
    // Calling `then` of another thenable could start its work a second time.
  } else if (!isThenable(result)) scope.end()
  return result
}

/** The scope of the run that the current work belongs to. */
export function currentScope(): RunScope | undefined {
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
