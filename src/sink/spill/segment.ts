import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { propertyOf } from '../../errors-read.ts'
import { sizeOf } from './on-disk.ts'

const STATE_BYTES = 24

/** The state of a segment: how much was written and how much was sent. */
interface SegmentState {
  /** The position up to which the segment is durable on disk. If the file is shorter, it was cut off. */
  readonly durable: number
  /** The position up to which the target has received the records. */
  readonly sent: number
}

/** A file of records, and a small second file with its state. */
export class Segment {
  readonly path: string
  readonly name: string
  durable = 0
  sent = 0
  /** Whether the state could be read. If not, the expected length of the file is unknown. */
  isKnown = true
  readonly damage: string[] = []
  lostBytes = 0
  #state: FileHandle | undefined

  constructor(folder: string, name: string) {
    this.path = `${folder}/${name}`
    this.name = name
  }

  /** Reads the state and the size of a segment that another process has written. */
  async load(): Promise<void> {
    const state = await readState(`${this.path}.state`)
    const size = await sizeOf(this.path)
    this.isKnown = state !== undefined
    this.sent = state?.sent ?? 0
    if (state && size < state.durable) {
      this.damage.push(`it is cut off after ${size} of ${state.durable} bytes`)
      this.lostBytes += state.durable - size
    }
    this.durable = state ? Math.min(size, state.durable) : size
  }

  /** Stores the state without a sync. If the process is killed, nothing is lost. After a power failure, deliveries may be repeated. */
  async save(): Promise<void> {
    this.#state ??= await open(`${this.path}.state`, 'w', 0o600)
    const bytes = Buffer.alloc(STATE_BYTES)
    bytes.writeBigUInt64LE(BigInt(this.durable), 0)
    bytes.writeBigUInt64LE(BigInt(this.sent), 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 16)), 16)
    await this.#state.write(bytes, 0, STATE_BYTES, 0)
  }

  /**
   * Removes a segment whose records were sent. A damaged one is renamed instead.
   *
   * @returns the path of a damaged segment
   */
  async end(): Promise<string | undefined> {
    await this.close()
    const kept = this.damage.length > 0 ? `${this.path}.damaged` : undefined
    try {
      if (kept === undefined) await rm(this.path, { force: true })
      else await rename(this.path, kept)
    } catch (error) {
      // The file no longer exists. This has already been recorded as damage.
      if (propertyOf(error, 'code') !== 'ENOENT') throw error
    }
    await rm(`${this.path}.state`, { force: true })
    return kept
  }

  async close(): Promise<void> {
    const state = this.#state
    this.#state = undefined
    await state?.close()
  }
}

async function readState(path: string): Promise<SegmentState | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(STATE_BYTES), 0, STATE_BYTES, 0)
    if (bytesRead < 20 || buffer.readUInt32LE(16) !== crc32(buffer.subarray(0, 16))) return undefined
    return { durable: Number(buffer.readBigUInt64LE(0)), sent: Number(buffer.readBigUInt64LE(8)) }
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return undefined
    throw error
  } finally {
    await file?.close()
  }
}
