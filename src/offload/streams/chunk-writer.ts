import type { MessagePort, Transferable } from 'node:worker_threads'
import { loopTurn } from '../../loop-turn.ts'
import { MAX_CHUNK_BYTES, MAX_CHUNK_ROWS, MAX_CHUNKS_AHEAD, sizeOf } from './chunk-size.ts'
import { serialiseError } from '../error-transfer.ts'
import type { ItemSource } from './item-source.ts'
import { isMoved } from '../move.ts'
import type { ReaderMessage, WriterMessage } from '../protocol.ts'

/** An item waits at most this long for others of its chunk. */
const MAX_LINGER_MS = 5

export interface WriterOptions {
  /** Turns the failure of sending a chunk, which can't be copied, into the reader's error. */
  readonly unsendable: (items: readonly unknown[], cause: unknown) => unknown
  /** The reader has taken everything and waits for the source. */
  readonly onStarved?: (isStarved: boolean) => void
}

/**
 * Sends the items of a source through a port: several in one message, and never more than the reader has room for.
 *
 * The reader's `'more'` is room for one more chunk, its `'end'` ends the source early. The source's error becomes the reader's.
 */
export class ChunkWriter {
  readonly #source: ItemSource
  readonly #port: MessagePort
  readonly #options: WriterOptions
  #room = MAX_CHUNKS_AHEAD
  #items: unknown[] = []
  #transfer: Transferable[] = []
  #bytes = 0
  #lastSize = 0
  #since = 0
  #linger: NodeJS.Timeout | undefined
  #isOverdue = false
  #isEnded = false
  #isStarved = false
  #wake: (() => void) | undefined
  #ending: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(source: ItemSource, port: MessagePort, options: WriterOptions) {
    this.#source = source
    this.#port = port
    this.#options = options
    port.on('message', (message: ReaderMessage) => {
      if (message === 'end') this.end()
      else if (message === 'more') this.#hasRoom()
    })
    // The reader is gone, with its thread or by an abort.
    port.on('close', () => this.end())
  }

  /** Resolves when the source has ended and everything is sent, or the reader has ended it. Never rejects. */
  async write(): Promise<void> {
    try {
      await this.#writeAll()
      await this.#ending
      if (this.#failure) throw this.#failure.error
      this.#post({ items: this.#items, isLast: true })
    } catch (error) {
      this.#port.postMessage({ error: serialiseError(error) } satisfies WriterMessage)
      this.end()
    } finally {
      clearTimeout(this.#linger)
      this.#setStarved(false)
    }
  }

  /** Ends the source early, whatever it waits for. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#items = []
    this.#ending = endOf(this.#source)
    // Its error is that of `write`.
    this.#ending.catch(() => {})
    this.#wake?.()
  }

  async #writeAll(): Promise<void> {
    try {
      while (!this.#isEnded) {
        const next = this.#source.next()
        const result: IteratorResult<unknown, unknown> = next instanceof Promise ? await this.#awaited(next) : next
        if (result.done || this.#isEnded) break
        this.#add(result.value)
        if (this.#isFull()) await this.#flushed()
      }
    } catch (error) {
      // A source that was ended may answer so to whoever waits for its next item.
      if (this.#isEnded) return
      await this.#flushed()
      throw error
    }
    await this.#flushed()
  }

  #awaited(next: Promise<IteratorResult<unknown>>): Promise<IteratorResult<unknown>> {
    const isWatched = this.#options.onStarved !== undefined
    if (!isWatched || this.#room < MAX_CHUNKS_AHEAD || this.#items.length > 0) return next
    this.#setStarved(true)
    return next.finally(() => this.#setStarved(false))
  }

  #setStarved(isStarved: boolean): void {
    if (this.#isStarved === isStarved) return
    this.#isStarved = isStarved
    this.#options.onStarved?.(isStarved)
  }

  #add(item: unknown): void {
    const count = this.#items.length
    if (count === 0) {
      this.#since = performance.now()
      this.#linger ??= setTimeout(() => this.#overdue(), MAX_LINGER_MS)
    } else if (this.#looksAtClock(count) && performance.now() - this.#since > MAX_LINGER_MS) this.#isOverdue = true
    if (isMoved(item)) {
      this.#items.push(item.value)
      this.#transfer.push(...item.transfer)
    } else this.#items.push(item)
    this.#bytes += this.#sizeOf(item, count)
  }

  /** Rows that come fast are many: the clock is read for the first few, and for every sixteenth. */
  #looksAtClock(count: number): boolean {
    return count < 16 || count % 16 === 0
  }

  /** Measuring a row costs as much as parsing a part of it. So of many objects every fourth is measured, and stands for those after it. */
  #sizeOf(item: unknown, count: number): number {
    if (typeof item !== 'object' || Array.isArray(item) || count < 8 || count % 4 === 0) this.#lastSize = sizeOf(item)
    return this.#lastSize
  }

  #isFull(): boolean {
    return this.#isOverdue || this.#items.length >= MAX_CHUNK_ROWS || this.#bytes >= MAX_CHUNK_BYTES
  }

  #overdue(): void {
    this.#linger = undefined
    if (this.#items.length === 0) return
    const left = MAX_LINGER_MS - (performance.now() - this.#since)
    if (left >= 1) this.#linger = setTimeout(() => this.#overdue(), left)
    else {
      this.#isOverdue = true
      this.#sendOverdue()
    }
  }

  #sendOverdue(): void {
    if (!this.#isOverdue || this.#room === 0 || this.#items.length === 0) return
    try {
      this.#send()
    } catch (error) {
      this.#failure = { error }
      this.end()
    }
  }

  /** Sends the chunk once there is room for it, and gives the event loop its turns. */
  async #flushed(): Promise<void> {
    while (this.#items.length > 0 && !this.#isEnded) {
      if (this.#room > 0) this.#send()
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (loopTurn.isDue(false)) await loopTurn.next()
  }

  #hasRoom(): void {
    this.#room++
    this.#sendOverdue()
    this.#wake?.()
  }

  #send(): void {
    const items = this.#items
    this.#room--
    this.#items = []
    this.#bytes = 0
    this.#isOverdue = false
    this.#post({ items, isLast: false })
  }

  #post(message: WriterMessage): void {
    const transfer = this.#transfer
    this.#transfer = []
    try {
      this.#port.postMessage(message, transfer)
    } catch (cause) {
      throw this.#options.unsendable('items' in message ? message.items : [], cause)
    }
  }
}

async function endOf(source: ItemSource): Promise<void> {
  await source.end()
}
