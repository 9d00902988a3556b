import type { MessagePort } from 'node:worker_threads'
import { loopTurn } from '../../loop-turn.ts'
import { MAX_CHUNKS_AHEAD } from './chunk-size.ts'
import { reviveError } from '../error-transfer.ts'
import type { ReaderMessage, StreamEnd, WriterMessage } from '../protocol.ts'
import { type Chunk, ListChunk, PackedChunk } from './packed-rows.ts'
import { giveRoom, type SharedRoom } from './room.ts'

export interface ReaderOptions {
  /** The reader has as many chunks as it may have, so the writer waits for it. */
  readonly onFull?: (isFull: boolean) => void
  /** Called at an early end; resolves at the latest when the writer must have ended. */
  readonly onEnd?: () => void
  /** The writer wants to know when the reader has nothing to read. */
  readonly tellsHunger?: boolean
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** Reads the items that a {@link ChunkWriter} sends through the other end of the port. */
export class ChunkReader<T = unknown> implements AsyncIterableIterator<T, undefined> {
  readonly #port: MessagePort
  readonly #room: SharedRoom
  readonly #options: ReaderOptions
  #chunk: Chunk<T> = new ListChunk<T>([])
  #index = 0
  #chunks: Chunk<T>[] = []
  /** The writer has ended, or no more is wanted. */
  #isOver = false
  #isReturned = false
  #returned: Promise<IteratorReturnResult<undefined>> | undefined
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  /** Reads that were made while another one waited. */
  #reads: Promise<unknown> | undefined

  constructor({ port, room }: StreamEnd, options: ReaderOptions = {}) {
    this.#port = port
    this.#room = room
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
      return Promise.resolve({ done: false, value: this.#chunk.at(this.#index++) })
    return this.#queued(this.#reads === undefined ? this.#take() : this.#reads.then(() => this.#take()))
  }

  /** Ends the writer's source, and resolves when it has ended; rejects with the error of its end. */
  return(): Promise<IteratorReturnResult<undefined>> {
    return (this.#returned ??= this.#return())
  }

  async #return(): Promise<IteratorReturnResult<undefined>> {
    this.#isReturned = true
    this.#drop()
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
    // A reader must not take the items that it has for all of them.
    const isCut = isNow && this.#drop() && !this.#isReturned
    if (this.#isOver && !isCut) return
    this.#failure ??= { error }
    this.#close()
  }

  /** The writer's thread has ended as it should, or was ended because no one reads any more. */
  finish(): void {
    this.#close()
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** @returns whether there was anything to drop */
  #drop(): boolean {
    const isAny = this.#index < this.#chunk.length || this.#chunks.length > 0
    this.#chunk = new ListChunk<T>([])
    this.#index = 0
    this.#chunks = []
    return isAny
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
      if (this.#index < this.#chunk.length) return { done: false, value: this.#chunk.at(this.#index++) }
      // A loop over items that are all here would let no timer, socket or signal through.
      if (loopTurn.isDue(false)) await loopTurn.next()
      if (this.#isReturned) break
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#chunk = chunk
        this.#index = 0
        if (giveRoom(this.#room)) this.#tell('more')
        this.#setFull(false)
      } else if (this.#isOver) {
        this.#throwFailure()
        return DONE
      } else {
        if (this.#options.tellsHunger) this.#tell('hungry')
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
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
    else if ('isLast' in message) this.#close()
    else if (!this.#isReturned) {
      const chunk =
        'packed' in message ? new PackedChunk<T>(message.packed) : new ListChunk(message.items as readonly T[])
      this.#chunks.push(chunk)
      if (this.#chunks.length >= MAX_CHUNKS_AHEAD) this.#setFull(true)
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
