import { AsyncLocalStorage } from 'node:async_hooks'
import { basename } from 'node:path'
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { OffloadTask, Progress, ThreadMessage } from '../protocol.ts'

/** The minimum time between two progress messages. Progress in between is dropped, but the reply contains the last one. */
const PROGRESS_INTERVAL_MS = 100

/** The state of a call in its thread. */
export class ThreadCall {
  readonly id: number
  /** The function and its module, for messages. */
  readonly title: string
  isOver = false
  #last: Progress | undefined
  #sentAt = 0
  #controller: AbortController | undefined

  constructor({ id, name, module }: Pick<OffloadTask, 'id' | 'name' | 'module'>) {
    this.id = id
    this.title = `${name}() of ${basename(module)}`
  }

  /** The controller of the call's signal. It aborts when the reader of the call's stream stops early. Created on first use. */
  get controller(): AbortController {
    return (this.#controller ??= new AbortController())
  }

  progress(progress: Progress): void {
    if (this.isOver) return
    const now = performance.now()
    this.#last = progress
    if (now - this.#sentAt < PROGRESS_INTERVAL_MS) return
    this.#sentAt = now
    tell({ piko: 'progress', id: this.id, progress })
  }

  get last(): Progress | undefined {
    return this.#last
  }
}

// A registered symbol, because the module may have loaded another copy of this package.
const CALLS: unique symbol = Symbol.for('piko.offload.calls') as never

/**
 * Returns the storage of the call to which the current work belongs. Later work, such as timers, promises and events, belongs to the same
 * call.
 */
export function threadCalls(): AsyncLocalStorage<ThreadCall> {
  const holder = globalThis as { [CALLS]?: AsyncLocalStorage<ThreadCall> }
  return (holder[CALLS] ??= new AsyncLocalStorage<ThreadCall>())
}

export function tell(message: ThreadMessage, transfer: readonly MessagePort[] = []): void {
  parentPort?.postMessage(message, transfer)
}

/**
 * Reports the progress of an offloaded function to the run that called it, as `ctx.progress` does. At most ten reports a second leave the
 * thread; the last one always does. Does nothing outside an offloaded call.
 *
 * @example
 * export async function* rows(file: AsyncIterable<Uint8Array>, size: number) {
 *   let read = 0
 *   for await (const bytes of file) {
 *     progress((read += bytes.length), size)
 *     yield* parse(bytes)
 *   }
 * }
 */
export function progress(done: number, total?: number, message?: string): void {
  threadCalls().getStore()?.progress([done, total, message])
}

/**
 * Returns the signal of the current offloaded call. It aborts when the reader of its stream stops early. A generator that waits for
 * anything other than its arguments should pass this signal on, so that it ends promptly. Outside an offloaded call, the signal never
 * aborts.
 */
export function threadSignal(): AbortSignal {
  return (threadCalls().getStore()?.controller ?? new AbortController()).signal
}
