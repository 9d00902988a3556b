import type { MessagePort } from 'node:worker_threads'
import { MAX_CHUNKS_AHEAD } from './chunk-size.ts'
import { reviveError } from '../error-transfer.ts'
import type { ReaderMessage, WriterMessage } from '../protocol.ts'

export interface ReaderOptions {
  /** The reader has as many chunks as it may have, so the writer waits for it. */
  readonly onFull?: (isFull: boolean) => void
  /** Called at an early end; resolves at the latest when the writer must have ended. */
  readonly onEnd?: () => void
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** Reads the items that a {@link ChunkWriter} sends through the other end of the port. */
export class ChunkReader<T = unknown> implements AsyncIterableIterator<T, undefined> {
  readonly #port: MessagePort
  readonly #options: ReaderOptions
  #chunk: readonly T[] = []
  #index = 0
  #chunks: (readonly T[])[] = []
  /** The writer has ended, or no more is wanted. */
  #isOver = false
  #isReturned = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  /** Reads that were made while another one waited. */
  #reads: Promise<unknown> | undefined

  constructor(port: MessagePort, options: ReaderOptions = {}) {
    this.#port = port
    this.#options = options
    port.on('message', (message: WriterMessage) => this.#receive(message))
    this.#tell('open')
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    // The usual reader asks for one item after another, and mostly the item is here.
    if (this.#reads === undefined && this.#index < this.#chunk.length)
      return Promise.resolve({ done: false, value: this.#chunk[this.#index++] as T })
    return this.#queued(this.#reads === undefined ? this.#take() : this.#reads.then(() => this.#take()))
  }

  /** Ends the writer's source, and resolves when it has ended; rejects with the error of its end. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#isReturned = true
    this.#chunk = []
    this.#chunks = []
    this.#setFull(false)
    if (!this.#isOver) {
      this.#tell('end')
      this.#options.onEnd?.()
      this.#wake?.()
      while (!this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.#throwFailure()
    return DONE
  }

  /** The writer can't go on. What it has sent before can be read unless `isNow`. */
  fail(error: unknown, isNow: boolean): void {
    if (isNow) {
      this.#chunk = []
      this.#chunks = []
    }
    if (this.#isOver) return
    this.#failure = { error }
    this.#close()
  }

  /** The writer's thread has ended as it should, or was ended because no one reads any more. */
  finish(): void {
    this.#close()
  }

  get isOver(): boolean {
    return this.#isOver
  }

  #queued<R>(read: Promise<R>): Promise<R> {
    const settled = read.then(
      () => {},
      () => {},
    )
    this.#reads = settled
    void settled.then(() => {
      if (this.#reads === settled) this.#reads = undefined
    })
    return read
  }

  async #take(): Promise<IteratorResult<T, undefined>> {
    while (!this.#isReturned) {
      if (this.#index < this.#chunk.length) return { done: false, value: this.#chunk[this.#index++] as T }
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#chunk = chunk
        this.#index = 0
        this.#tell('more')
        this.#setFull(false)
      } else if (this.#isOver) {
        this.#throwFailure()
        return DONE
      } else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return DONE
  }

  /** An error is thrown once, as by a generator. */
  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure.error
  }

  #receive(message: WriterMessage): void {
    if ('error' in message) this.fail(reviveError(message.error), false)
    else {
      if (!this.#isReturned && message.items.length > 0) this.#chunks.push(message.items as readonly T[])
      if (message.isLast) this.#close()
      else if (this.#chunks.length >= MAX_CHUNKS_AHEAD) this.#setFull(true)
    }
    this.#wake?.()
  }

  #tell(message: ReaderMessage): void {
    if (!this.#isOver) this.#port.postMessage(message)
  }

  #isFull = false
  #setFull(isFull: boolean): void {
    if (this.#isFull === isFull) return
    this.#isFull = isFull
    this.#options.onFull?.(isFull)
  }

  #close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#setFull(false)
    this.#port.close()
    this.#wake?.()
  }
}
