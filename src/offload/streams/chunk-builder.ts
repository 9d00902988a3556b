import type { Transferable } from 'node:worker_threads'
import { isMoved, type Moved } from '../move.ts'
import { MAX_CHUNK_BYTES, MAX_CHUNK_ROWS, sizeOf } from './chunk-size.ts'
import { PackedChunk, type PackedRows, RowPacker } from './packed-rows.ts'

/** How long an item waits for other items of its chunk, in milliseconds. */
export const MAX_LINGER_MS = 5
/** If chunks that could not be packed outnumber the packed ones by this many, no more chunks are packed. */
const MAX_PACKS = 8

/** The items of a chunk, ready to be sent. */
export interface BuiltChunk {
  readonly length: number
  readonly message: { readonly packed: PackedRows } | { readonly items: readonly unknown[] }
  readonly transfer: readonly Transferable[]
  /** The items as separate messages. */
  readonly items: () => readonly { readonly item: unknown; readonly transfer: readonly Transferable[] }[]
}

type MovedItems = ReadonlyMap<number, readonly Transferable[]>

/** Collects items until a message is full: by number, by size, or by how long the first item has waited. */
export class ChunkBuilder {
  #count = 0
  #bytes = 0
  #since = 0
  #isOverdue = false
  readonly #packer = new RowPacker()
  /** Whether the packer contains all items. Otherwise the list contains all of them. */
  #isPacked = true
  /** The number of packed chunks, minus the number of other chunks; at most `MAX_PACKS`. */
  #packs = 0
  #items: unknown[] = []
  /** The buffers that are moved instead of copied, by the index of their item. */
  #moved: Map<number, readonly Transferable[]> | undefined
  #lastSize = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** How many milliseconds the oldest item may still wait. */
  get leftMs(): number {
    return MAX_LINGER_MS - (performance.now() - this.#since)
  }

  get isOverdue(): boolean {
    return this.#isOverdue
  }

  markOverdue(): void {
    this.#isOverdue = true
  }

  /** Adds an item. @returns whether the chunk is full */
  add(item: unknown): boolean {
    const count = this.#count++
    if (count === 0) this.#since = performance.now()
    // Reading the clock for every item would be slow, so it is read for the first 16 items and then for every sixteenth.
    else if ((count & 15) === 0 || count < 16) this.#isOverdue ||= this.leftMs < 0
    const bytes = this.#isPacked ? this.#pack(item) : undefined
    if (bytes === undefined) this.#list(item, count)
    else this.#bytes += bytes
    return count >= MAX_CHUNK_ROWS - 1 || this.#bytes >= MAX_CHUNK_BYTES || this.#isOverdue
  }

  take(): BuiltChunk {
    const chunk = this.#isPacked ? this.#packedChunk() : this.#listedChunk()
    this.#packs = Math.min(MAX_PACKS, this.#packs + (this.#isPacked ? 1 : -1))
    this.#isPacked = this.#packs > -MAX_PACKS
    this.clear()
    return chunk
  }

  clear(): void {
    this.#packer.clear()
    this.#items = []
    this.#moved = undefined
    this.#count = 0
    this.#bytes = 0
    this.#isOverdue = false
  }

  #pack(item: unknown): number | undefined {
    try {
      return this.#packer.add(item)
    } catch {
      // The item could not be read. Sending it will also fail, with an error that names the place in the item.
      return undefined
    }
  }

  /** Moves the packed items to the list, because the next item can't be packed with them. */
  #unpack(): void {
    this.#isPacked = false
    const rows = this.#packer.rows()
    for (let index = 0; index < rows.length; index++) this.#items.push(rows.at(index))
    this.#packer.clear()
  }

  #list(item: unknown, count: number): void {
    if (this.#isPacked) this.#unpack()
    if (isMovedItem(item)) {
      this.#items.push(item.value)
      this.#moved ??= new Map()
      this.#moved.set(count, item.transfer)
    } else this.#items.push(item)
    this.#bytes += this.#sizeOf(item, count)
  }

  /**
   * Returns the size of an item. Measuring an object is slow, so after the first eight only every fourth is measured, and the next three
   * are assumed to have the same size.
   */
  #sizeOf(item: unknown, count: number): number {
    if (typeof item === 'object' && !Array.isArray(item) && count >= 8 && (count & 3) !== 0) return this.#lastSize
    try {
      return (this.#lastSize = sizeOf(item))
    } catch {
      return (this.#lastSize = 0)
    }
  }

  #packedChunk(): BuiltChunk {
    const packed = this.#packer.take()
    const items = () => {
      const rows = new PackedChunk(packed)
      return Array.from({ length: rows.length }, (_, index) => ({ item: rows.at(index), transfer: [] }))
    }
    return { length: this.#count, message: { packed }, transfer: [], items }
  }

  #listedChunk(): BuiltChunk {
    const items = this.#items
    const moved: MovedItems = this.#moved ?? new Map()
    return {
      length: this.#count,
      message: { items },
      transfer: [...moved.values()].flat(),
      items: () => items.map((item, index) => ({ item, transfer: moved.get(index) ?? [] })),
    }
  }
}

/** Whether an item is a result of `move`. Reading a property of a proxy may throw. */
function isMovedItem(item: unknown): item is Moved<unknown> {
  try {
    return isMoved(item)
  } catch {
    return false
  }
}
