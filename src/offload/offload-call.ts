import type { Transferable } from 'node:worker_threads'
import type { OffloadReply, OffloadTask } from './worker.ts'

/** The part of a signal that piscina needs. To create a real one takes longer than the rest of the work for a call. */
class CallSignal {
  aborted = false
  reason: unknown
  #listener: (() => void) | undefined

  once(_name: 'abort', listener: () => void): void {
    this.#listener = listener
  }

  /** Required by piscina's types. */
  off(name: 'abort', listener: () => void): void {
    this.removeListener(name, listener)
  }

  /** Called by piscina. */
  removeListener(_name: 'abort', listener: () => void): void {
    if (this.#listener === listener) this.#listener = undefined
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#listener?.()
  }
}

/** One call in a pool: its task, the way to end it, and the promise of its caller. */
export class OffloadCall {
  readonly task: OffloadTask
  readonly transfer: readonly Transferable[]
  readonly settled: Promise<OffloadReply>
  /** Aborts when the call is ended; the call's thread listens. */
  readonly signal = new CallSignal()
  #settle!: { readonly resolve: (reply: OffloadReply) => void; readonly reject: (error: unknown) => void }

  constructor(task: OffloadTask, transfer: readonly Transferable[]) {
    this.task = task
    this.transfer = transfer
    this.settled = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
  }

  complete(reply: OffloadReply): void {
    this.#settle.resolve(reply)
  }

  /** Ends the call wherever it is. */
  end(reason: unknown): void {
    this.signal.abort(reason)
    this.#settle.reject(reason)
  }
}
