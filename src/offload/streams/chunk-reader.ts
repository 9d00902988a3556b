import type { MessagePort } from 'node:worker_threads'
import { loopTurn } from '../../loop-turn.ts'
import { MAX_CHUNKS_AHEAD } from './chunk-size.ts'
import { reviveError } from '../error-transfer.ts'
import type { Progress, ReaderMessage, StreamEnd, WriterMessage } from '../protocol.ts'
import { type Chunk, ListChunk, PackedChunk } from './packed-rows.ts'
import { giveRoom, type SharedRoom } from './room.ts'

export interface ReaderOptions {
  /**
   * Called with true when the reader has the maximum number of chunks, so that the writer must wait. Called with false when it has room
   * again.
   */
  readonly onFull?: (isFull: boolean) => void
  /** Called when the reader stops before the end of the stream. */
  readonly onEnd?: () => void
  /** Called with the last progress of the writer before the stream ends. */
  readonly onProgress?: (progress: Progress) => void
  /** Whether to tell the writer when there is nothing left to read. Default: no. */
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
  /** Whether the writer has ended or no more items are wanted. */
  #isOver = false
  #isReturned = false
  #returned: Promise<IteratorReturnResult<undefined>> | undefined
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  /** The promise of the latest read that is waiting; undefined if no read is waiting. */
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
    // The fast path: usually no other read waits, and the item has already arrived.
    if (this.#reads === undefined && this.#index < this.#chunk.length)
      return Promise.resolve({ done: false, value: this.#chunk.at(this.#index++) })
    return this.#queued(this.#reads === undefined ? this.#take() : this.#reads.then(() => this.#take()))
  }

  /** Ends the writer's source early. Resolves when the source has ended. Rejects with the error that the source threw when it ended. */
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

  /** Fails the stream, because the writer can't continue. Unless `isNow`, items that have arrived can still be read. */
  fail(error: unknown, isNow: boolean): void {
    // If items were dropped, the reader must get an error even if the stream was complete. Otherwise it would not notice the loss.
    const isCut = isNow && this.#drop() && !this.#isReturned
    if (this.#isOver && !isCut) return
    this.#failure ??= { error }
    this.#close()
  }

  /** Completes the stream without an error although the writer's thread was ended. No code reads the stream any more. */
  finish(): void {
    this.#close()
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Drops all items that were received but not read. @returns whether items were dropped */
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
      // Without this, a loop over items that have already arrived would block timers, sockets and signals.
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

  /** Throws the error of the stream. A generator throws its error only once, and so does this method. */
  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure.error
  }

  #receive(message: WriterMessage): void {
    if ('error' in message) this.fail(reviveError(message.error), false)
    else if ('isLast' in message) {
      if (message.progress) this.#options.onProgress?.(message.progress)
      this.#close()
    } else if (!this.#isReturned) {
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
