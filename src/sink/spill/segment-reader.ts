import { type FileHandle, open } from 'node:fs/promises'
import { headline, propertyOf } from '../../errors-read.ts'
import { decodeBatch, HEADER_BYTES, isSound, nextMagic, readHeader, SEGMENT_MAGIC } from './record.ts'
import type { Segment } from './segment.ts'
import type { SpillBatch } from './spill-queue.ts'

const SEARCH_BYTES = 65_536

/** A record of a segment. */
export interface ReadRecord {
  readonly batch: SpillBatch
  /** The position where the next record begins. */
  readonly end: number
}

/** Reads the records of one segment in order. Skips damaged bytes and records the damage in the segment. */
export class SegmentReader {
  readonly segment: Segment
  #file: FileHandle | undefined
  #at: number
  #isChecked = false

  constructor(segment: Segment) {
    this.segment = segment
    this.#at = segment.sent
  }

  /** The position where the next record begins. */
  get at(): number {
    return this.#at
  }

  /** Reads the next record; undefined if there is no complete record yet. */
  async next(): Promise<ReadRecord | undefined> {
    const { segment } = this
    const file = await this.#open()
    if (!file) return undefined
    while (this.#at < segment.durable) {
      const header = readHeader(await this.#bytes(file, this.#at, HEADER_BYTES))
      const start = this.#at + HEADER_BYTES
      if (!header) {
        await this.#skip(file, this.#at, 'a record begins with damaged bytes')
        continue
      }
      const end = start + header.contentBytes
      const content = await this.#bytes(file, start, header.contentBytes)
      if (!isSound(content, header)) {
        const isCut = content.length < header.contentBytes
        await this.#skip(
          file,
          this.#at,
          isCut ? `record ${header.number} is cut off` : `record ${header.number} fails its checksum`,
        )
        continue
      }
      this.#at = end
      try {
        return { batch: decodeBatch(content), end }
      } catch (error) {
        this.#note(`record ${header.number} can't be read: ${headline(error)}`, end - start)
      }
    }
    return undefined
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #open(): Promise<FileHandle | undefined> {
    const { segment } = this
    try {
      this.#file ??= await open(segment.path, 'r')
    } catch (error) {
      if (propertyOf(error, 'code') !== 'ENOENT') throw error
      if (segment.damage.length === 0) this.#note('its file is gone', segment.durable - segment.sent)
      segment.durable = this.#at
      return undefined
    }
    if (this.#isChecked) return this.#file
    this.#isChecked = true
    const magic = await this.#bytes(this.#file, 0, SEGMENT_MAGIC.length)
    if (this.#at === 0) this.#at = SEGMENT_MAGIC.length
    // An empty file is not damaged if nothing has been written yet. If a file was cut off, this is already recorded as damage.
    if (segment.durable === 0 && (segment.damage.length > 0 || segment.isKnown)) return this.#file
    if (!magic.equals(SEGMENT_MAGIC)) this.#note('it begins with damaged bytes', 0)
    return this.#file
  }

  /** Reads up to `length` bytes, but not beyond the end of the file or of its durable part. */
  async #bytes(file: FileHandle, from: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.segment.durable - from))
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, from)
    return buffer.subarray(0, bytesRead)
  }

  /** Skips to the next intact header and records the problem. */
  async #skip(file: FileHandle, from: number, problem: string): Promise<void> {
    let at = from + 1
    while (at < this.segment.durable) {
      const bytes = await this.#bytes(file, at, SEARCH_BYTES)
      const found = nextMagic(bytes, 0)
      if (found < 0) {
        // The magic bytes may begin in the last three bytes that were read, and continue after them.
        at += Math.max(1, bytes.length - 3)
        continue
      }
      const header = readHeader(await this.#bytes(file, at + found, HEADER_BYTES))
      if (header) {
        at += found
        break
      }
      at += found + 1
    }
    this.#at = Math.min(at, this.segment.durable)
    this.#note(problem, this.#at - from)
  }

  #note(problem: string, lostBytes: number): void {
    this.segment.damage.push(problem)
    this.segment.lostBytes += lostBytes
  }
}
