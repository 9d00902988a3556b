import type { MessagePort } from 'node:worker_threads'
import { loopTurn } from '../../loop-turn.ts'
import { serialiseError } from '../error-transfer.ts'
import type { Progress, ReaderMessage, StreamEnd, WriterMessage } from '../protocol.ts'
import { type BuiltChunk, ChunkBuilder, MAX_LINGER_MS } from './chunk-builder.ts'
import type { ItemSource } from './item-source.ts'
import { WriterRoom } from './room.ts'

export interface WriterOptions {
  /** Creates the reader's error for an item that can't be copied. `index` is the item's position in the stream. */
  readonly unsendable: (item: unknown, index: number, cause: unknown) => unknown
  /** How long a source may take to end early, in milliseconds. Default: no limit. */
  readonly maxEndMs?: number
  /** Returns the progress to send with the end of the stream. This message arrives before the reader has read everything. */
  readonly lastProgress?: () => Progress | undefined
  /** Called with true when the reader has read everything and waits for the source. Called with false when it is no longer waiting. */
  readonly onStarved?: (isStarved: boolean) => void
}

/**
 * Sends the items of a source through a port. A message contains several items. The writer never sends more than the reader has room for.
 *
 * The reader's message `'more'` means that there is room again, and `'end'` ends the source early. An error of the source is also sent to
 * the reader.
 */
export class ChunkWriter {
  readonly #source: ItemSource
  readonly #port: MessagePort
  readonly #room: WriterRoom
  readonly #options: WriterOptions
  readonly #chunk = new ChunkBuilder()
  /** How many items were sent. */
  #sent = 0
  #linger: NodeJS.Timeout | undefined
  #isEnded = false
  #isStarved = false
  #wake: (() => void) | undefined
  readonly #written = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()

  constructor(source: ItemSource, { port, room }: StreamEnd, options: WriterOptions) {
    this.#source = source
    this.#port = port
    this.#room = new WriterRoom(room)
    this.#options = options
    port.on('message', (message: ReaderMessage) => {
      if (message === 'end') this.end()
      else if (message === 'more') this.#hasRoom()
      // If a chunk is still on its way, the reader will soon have items again.
      else if (message === 'hungry' && this.#room.isAll && !this.#isEnded) this.#setStarved(true)
    })
    // The reader no longer exists: its thread has ended, or it was aborted.
    port.on('close', () => this.end())
    // `write` awaits both promises and handles their errors.
    this.#written.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  /** Sends everything. Resolves when the source has ended and all is sent, or when the reader has ended the source. Never rejects. */
  async write(): Promise<void> {
    try {
      this.#ask()
      // After an early end, the source may never answer the last request for an item.
      await Promise.race([this.#written.promise, this.#ended.promise])
      if (this.#isEnded) await this.#ended.promise
      const progress = this.#options.lastProgress?.()
      this.#port.postMessage({ isLast: true, ...(progress && { progress }) } satisfies WriterMessage)
    } catch (error) {
      this.#port.postMessage({ error: serialiseError(error) } satisfies WriterMessage)
      this.end()
    } finally {
      clearTimeout(this.#linger)
      this.#setStarved(false)
    }
  }

  /** Ends the source early, even if it is waiting. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#chunk.clear()
    this.#setStarved(false)
    const { maxEndMs } = this.#options
    const ending = endOf(this.#source)
    this.#ended.resolve(maxEndMs === undefined ? ending : atMost(maxEndMs, ending))
    this.#wake?.()
  }

  /** Requests one item after another. It uses callbacks, because there may be millions of items and an await costs more. */
  #ask(): void {
    try {
      while (!this.#isEnded) {
        const next = this.#source.next()
        if (next instanceof Promise) return void next.then(this.#took, this.#sourceFailed)
        if (next.done) return this.#allTaken()
        if (this.#add(next.value)) return this.#flushThenAsk()
      }
    } catch (error) {
      this.#sourceFailed(error)
    }
  }

  readonly #took = (result: IteratorResult<unknown>): void => {
    if (this.#isEnded) return
    if (result.done) return this.#allTaken()
    if (this.#add(result.value)) this.#flushThenAsk()
    else this.#ask()
  }

  #flushThenAsk(): void {
    this.#flushed().then(() => this.#ask(), this.#written.reject)
  }

  #allTaken(): void {
    this.#written.resolve(this.#flushed())
  }

  /** Handles an error of the source: first sends the items before the error. */
  readonly #sourceFailed = (error: unknown): void => {
    // After an early end, the source may reject the last request for an item, which is not a failure.
    if (!this.#isEnded) this.#flushed().then(() => this.#written.reject(error), this.#written.reject)
  }

  #add(item: unknown): boolean {
    this.#linger ??= setTimeout(() => this.#overdue(), MAX_LINGER_MS)
    return this.#chunk.add(item)
  }

  #overdue(): void {
    this.#linger = undefined
    if (this.#chunk.isEmpty) return
    const { leftMs } = this.#chunk
    if (leftMs >= 1) this.#linger = setTimeout(() => this.#overdue(), leftMs)
    else {
      this.#chunk.markOverdue()
      this.#sendOverdue()
    }
  }

  #sendOverdue(): void {
    if (this.#chunk.isEmpty || !this.#chunk.isOverdue || !this.#room.isAny) return
    try {
      this.#send()
    } catch (error) {
      this.#written.reject(error)
      this.end()
    }
  }

  /** Sends the chunk when there is room for it, and yields to the event loop. */
  async #flushed(): Promise<void> {
    while (!this.#chunk.isEmpty && !this.#isEnded) {
      if (this.#room.isAny) this.#send()
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (loopTurn.isDue(false)) await loopTurn.next()
  }

  #hasRoom(): void {
    this.#sendOverdue()
    this.#wake?.()
  }

  #setStarved(isStarved: boolean): void {
    if (this.#isStarved === isStarved) return
    this.#isStarved = isStarved
    this.#options.onStarved?.(isStarved)
  }

  #send(): void {
    const chunk = this.#chunk.take()
    this.#room.take()
    this.#setStarved(false)
    try {
      this.#port.postMessage(chunk.message satisfies WriterMessage, chunk.transfer)
    } catch (cause) {
      this.#sendEach(chunk, cause)
    }
    this.#sent += chunk.length
  }

  /** Sends the items one by one, so that the reader gets all items before the one that can't be sent. */
  #sendEach(chunk: BuiltChunk, cause: unknown): never {
    for (const [index, { item, transfer }] of chunk.items().entries()) {
      try {
        this.#port.postMessage({ items: [item] } satisfies WriterMessage, transfer)
      } catch (thrown) {
        throw this.#options.unsendable(item, this.#sent + index, thrown)
      }
    }
    throw this.#options.unsendable(
      chunk.items().map(({ item }) => item),
      this.#sent,
      cause,
    )
  }
}

async function endOf(source: ItemSource): Promise<void> {
  await source.end()
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([work, limit]).finally(() => clearTimeout(timer))
}
