import { type FileHandle, open } from 'node:fs/promises'
import { recordOf, SEGMENT_MAGIC } from './record.ts'
import { Segment } from './segment.ts'

/** How many bytes may be written before the disk is synced. */
const MAX_SYNC_BYTES = 16_000_000

interface Pending {
  readonly content: Buffer
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface WriterParts {
  readonly folder: string
  readonly segmentBytes: number
  /** Returns a name that comes after all earlier names when sorted. */
  readonly nextName: () => string
  /** Called before the first record of a segment is durable. */
  readonly onSegment: (segment: Segment) => void
  readonly onDurable: () => void
}

/** Appends records to segments. Several appends share one sync to disk. */
export class SegmentWriter {
  readonly #parts: WriterParts
  readonly #pending: Pending[] = []
  #segment: Segment | undefined
  #file: FileHandle | undefined
  #records = 0
  #writing: Promise<void> | undefined

  constructor(parts: WriterParts) {
    this.#parts = parts
  }

  /** The segment that is being written. */
  get segment(): Segment | undefined {
    return this.#segment
  }

  get isIdle(): boolean {
    return this.#pending.length === 0 && !this.#writing
  }

  /** Resolves when the content is durable on disk. */
  append(content: Buffer): Promise<void> {
    const written = new Promise<void>((resolve, reject) => this.#pending.push({ content, resolve, reject }))
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    return written
  }

  /** Completes the segment. The next record begins a new one. */
  async seal(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#segment = undefined
    await file?.close()
  }

  async close(): Promise<void> {
    await this.#writing
    await this.seal()
  }

  async #write(): Promise<void> {
    // Contents that are appended in this turn of the event loop share the sync.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const some = this.#take()
      try {
        await this.#store(some.map(({ content }) => content))
        for (const { resolve } of some) resolve()
        this.#parts.onDurable()
      } catch (error) {
        for (const { reject } of some) reject(error)
      }
    }
  }

  #take(): Pending[] {
    let bytes = 0
    let count = 0
    for (const { content } of this.#pending) {
      if (count > 0 && bytes + content.length > MAX_SYNC_BYTES) break
      bytes += content.length
      count++
    }
    return this.#pending.splice(0, count)
  }

  async #store(contents: readonly Buffer[]): Promise<void> {
    const { segment, file } = await this.#open()
    let at = segment.durable
    try {
      if (at === 0) at += (await file.write(SEGMENT_MAGIC, 0, SEGMENT_MAGIC.length, 0)).bytesWritten
      let number = this.#records
      for (const content of contents) at += await writeAll(file, recordOf(content, number++), at)
      await file.datasync()
      segment.durable = at
      this.#records = number
      await segment.save()
    } catch (error) {
      await this.#cutBack(segment, file)
      throw error
    }
    if (at >= this.#parts.segmentBytes) await this.seal()
  }

  async #open(): Promise<{ readonly segment: Segment; readonly file: FileHandle }> {
    if (this.#segment && this.#file) return { segment: this.#segment, file: this.#file }
    const { folder, nextName, onSegment } = this.#parts
    const segment = new Segment(folder, nextName())
    const file = await open(segment.path, 'wx', 0o600)
    await syncFolder(folder)
    this.#segment = segment
    this.#file = file
    this.#records = 0
    onSegment(segment)
    return { segment, file }
  }

  /** Removes the bytes of a failed write, because they must not look like a record. If this also fails, completes the segment. */
  async #cutBack(segment: Segment, file: FileHandle): Promise<void> {
    try {
      await file.truncate(segment.durable)
    } catch {
      await this.seal()
    }
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<number> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
  return bytes.length
}

/** Makes new file names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows can't open a folder, and does not need to sync one.
  if (process.platform === 'win32') return
  const file = await open(folder, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
