import { systemClock } from '../../clock.ts'
import { PikoError, toError } from '../../errors.ts'
import type { SinkObserver, SpillJournal } from '../sink-observer.ts'
import type { SpillPolicy } from '../sink-policy.ts'
import { encodeBatch, HEADER_BYTES } from './record.ts'
import type { Segment } from './segment.ts'
import { type ReadRecord, SegmentReader } from './segment-reader.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { SpillBatch, SpillQueue } from './spill-queue.ts'

const MAX_SEGMENT_BYTES = 8_000_000
const MIN_SEGMENT_BYTES = 16_384
/**
 * The size of a segment is the spill's maximum size divided by this, within the limits above. Space becomes free only when a whole segment
 * is removed.
 */
const SEGMENTS = 8

export interface DiskSpillParts {
  readonly sink: string
  /** The sink's folder, which already exists. */
  readonly folder: string
  readonly policy: SpillPolicy
  readonly nextName: () => string
  readonly observer: Pick<SinkObserver, 'spilling' | 'drained' | 'damaged'>
  readonly journal: SpillJournal
}

/** A record that has not been delivered yet, and its segment. */
export interface WaitingRecord extends ReadRecord {
  readonly segment: Segment
}

/**
 * The batches of one sink in a folder. They are in segments: new batches are appended to the last segment, and the first segment is read.
 *
 * Only the batches that are being written or read are in memory.
 */
export class DiskSpill implements SpillQueue {
  readonly #parts: DiskSpillParts
  readonly #writer: SegmentWriter
  readonly #segments: Segment[] = []
  #reader: SegmentReader | undefined
  /** The record that has been read but not sent yet. */
  #waiting: WaitingRecord | undefined
  #appending = 0
  #bytes = 0
  /** The time when the target went down; undefined while it is up. */
  #downSince: number | undefined
  #sentRows = 0
  #isHeld = false
  #room = Promise.withResolvers<void>()
  #work = Promise.withResolvers<void>()

  constructor(parts: DiskSpillParts) {
    this.#parts = parts
    const { folder, nextName, policy } = parts
    this.#writer = new SegmentWriter({
      folder,
      nextName,
      segmentBytes: Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, Math.floor(policy.maxBytes / SEGMENTS))),
      onSegment: (segment) => this.#segments.push(segment),
      onDurable: () => this.#wake(),
    })
  }

  get isActive(): boolean {
    return this.#isHeld || this.#appending > 0 || this.#segments.length > 0
  }

  get bytes(): number {
    return this.#bytes
  }

  get segments(): number {
    return this.#segments.length
  }

  /** When the oldest batch was stored, in milliseconds since 1970, from the name of its segment. */
  get oldestMs(): number | undefined {
    const [first] = this.#segments
    return first && Number.parseInt(first.name, 10)
  }

  outage(error: Error): void {
    if (this.#downSince !== undefined) return
    this.#downSince = performance.now()
    this.#parts.observer.spilling({ sink: this.#parts.sink, error })
  }

  /** Stores all batches on disk until `release` is called, because the sink could not be opened. */
  hold(error: Error): void {
    this.#isHeld = true
    this.outage(error)
    this.#wake()
  }

  release(): void {
    this.#isHeld = false
  }

  async append(batch: SpillBatch, signal: AbortSignal): Promise<void> {
    this.#appending++
    try {
      const content = encodeBatch(batch)
      const bytes = content.length + HEADER_BYTES
      await this.#takeRoom(bytes, signal)
      try {
        await this.#writer.append(content)
      } catch (error) {
        this.#freeRoom(bytes)
        throw error
      }
      const { runId, jobId } = batch.batch
      this.#parts.journal.note({ runId, jobId, sink: this.#parts.sink, spilled: batch.rows.length, bytes })
    } finally {
      this.#appending--
      this.#wake()
    }
  }

  /** Adds the segments of an ended process. All segments are sent in the order of their names. */
  adopt(segments: readonly Segment[]): void {
    for (const segment of segments) this.#bytes += segment.durable
    this.#segments.push(...segments)
    this.#segments.sort((a, b) => (a.name < b.name ? -1 : 1))
    if (segments.length > 0) this.#downSince ??= performance.now()
    this.#wake()
  }

  /** Resolves when there may be something to send. */
  async work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isHeld && this.#segments.length === 0) {
      const ended = new AbortController()
      await Promise.race([this.#work.promise, systemClock.sleep(Infinity, AbortSignal.any([signal, ended.signal]))])
      ended.abort()
    }
  }

  /**
   * Returns the oldest batch that has not been sent yet; undefined if all have been sent, or the next one is still being written. Removes
   * the segments before it.
   */
  async peek(): Promise<WaitingRecord | undefined> {
    for (;;) {
      const [segment] = this.#segments
      if (!segment) return undefined
      if (this.#waiting?.segment === segment) return this.#waiting
      const reader = await this.#readerOf(segment)
      const record = await reader.next()
      if (record) return (this.#waiting = { ...record, segment })
      if (reader.at < segment.durable || this.#segments[0] !== segment) continue
      if (segment === this.#writer.segment) {
        if (!this.#writer.isIdle) return undefined
        await this.#end(segment, this.#writer.seal())
      } else {
        await this.#end(segment, Promise.resolve())
      }
    }
  }

  /** Records that the target has received the batch. */
  async sent({ segment, end, batch }: WaitingRecord): Promise<void> {
    this.#waiting = undefined
    segment.sent = end
    await segment.save()
    this.#sentRows += batch.rows.length
    const { runId, jobId } = batch.batch
    this.#parts.journal.note({ runId, jobId, sink: this.#parts.sink, sent: batch.rows.length })
  }

  /** Waits for the batches that are being written. Batches on disk are kept. */
  async close(): Promise<void> {
    await this.#writer.close()
    await this.#reader?.close()
    for (const segment of this.#segments) await segment.close()
  }

  async #readerOf(segment: Segment): Promise<SegmentReader> {
    if (this.#reader?.segment === segment) return this.#reader
    await this.#reader?.close()
    this.#waiting = undefined
    return (this.#reader = new SegmentReader(segment))
  }

  /** Removes a segment whose batches have all been sent. If it was the last one, reports the end of the outage. */
  async #end(segment: Segment, sealed: Promise<void>): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1)
    const { sink, observer } = this.#parts
    const downSince = this.#downSince
    if (!this.isActive && downSince !== undefined) {
      this.#downSince = undefined
      observer.drained({ sink, rows: this.#sentRows, outageMs: performance.now() - downSince })
      this.#sentRows = 0
    }
    await sealed
    await this.#reader?.close()
    this.#reader = undefined
    const { damage, lostBytes } = segment
    const file = await segment.end()
    if (file !== undefined) observer.damaged({ sink, file, problems: damage, lostBytes })
    this.#freeRoom(segment.durable)
  }

  async #takeRoom(bytes: number, signal: AbortSignal): Promise<void> {
    const { maxBytes, waitMs } = this.#parts.policy
    const deadline = performance.now() + waitMs
    while (this.#bytes + bytes > maxBytes) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || bytes > maxBytes) throw this.#full(bytes)
      const ended = new AbortController()
      await Promise.race([this.#room.promise, systemClock.sleep(leftMs, AbortSignal.any([signal, ended.signal]))])
      ended.abort()
      if (signal.aborted) throw toError(signal.reason)
    }
    this.#bytes += bytes
  }

  #freeRoom(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes)
    this.#room.resolve()
    this.#room = Promise.withResolvers()
  }

  #wake(): void {
    this.#work.resolve()
    this.#work = Promise.withResolvers()
  }

  #full(bytes: number): PikoError {
    const { sink, policy, folder } = this.#parts
    return new PikoError(
      'SINK_SPILL_FULL',
      `the target of sink ${sink} is down, and there is no room for a batch of ${bytes} bytes on disk: ${this.#bytes} of ` +
        `${policy.maxBytes} bytes are taken in ${folder}. Bring the target back, or raise spill.maxBytes of the sink`,
      { details: { sink, bytes, taken: this.#bytes, maxBytes: policy.maxBytes } },
    )
  }
}
