import { type Transferable } from 'node:worker_threads'
import { type OffloadReply, type OffloadTask } from './worker.ts'

/** One call on its way through a pool: what to do, how to end it, and the promise that its caller holds. */
export class OffloadCall {
  readonly task: OffloadTask
  readonly transfer: readonly Transferable[]
  readonly settled: Promise<OffloadReply>
  readonly #abort = new AbortController()
  #settle!: { readonly resolve: (reply: OffloadReply) => void; readonly reject: (error: unknown) => void }

  constructor(task: OffloadTask, transfer: readonly Transferable[]) {
    this.task = task
    this.transfer = transfer
    this.settled = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
  }

  /** Aborts when the call is ended; its thread listens. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  complete(reply: OffloadReply): void {
    this.#settle.resolve(reply)
  }

  /** Ends the call wherever it is. */
  end(reason: unknown): void {
    this.#abort.abort(reason)
    this.#settle.reject(reason)
  }
}
