/** The estimated bytes of a number, and of every other value in addition to its content. */
const WORD = 8
/** The maximum depth of packed values. More deeply nested values may refer to their own row, and packing would break this reference. */
const MAX_DEPTH = 4
/** The properties of a result of `move`. */
const MOVED_KEYS = 'value,transfer'
/** An object with more properties is probably a dictionary, whose names differ in each row. */
const MAX_KEYS = 100

/**
 * Rows with the same properties in the same order: the names are stored once, and then the values of each row. Copying the names with each
 * row would take longer than copying the values.
 */
export interface PackedRows {
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
}

/** Packs the rows of one chunk. */
export class RowPacker {
  #keys: readonly string[] | undefined
  #values: unknown[] = []

  /**
   * Adds the current values of a row.
   *
   * @returns the approximate size of the row in bytes; undefined if it can't be packed with the rows before it
   * @throws the error of a getter of the row; some values of the row may already be added then
   */
  add(row: unknown): number | undefined {
    if (typeof row !== 'object' || row === null || Object.getPrototypeOf(row) !== Object.prototype) return undefined
    const keys = (this.#keys ??= usableKeys(row))
    if (keys === undefined) return undefined
    const values = this.#values
    const before = values.length
    let bytes = WORD
    let place = 0
    for (const key in row) {
      if (keys[place] !== key) break
      const value = (row as Record<string, unknown>)[key]
      if (typeof value === 'string') bytes += value.length + WORD
      else if (typeof value !== 'object' || value === null) bytes += WORD
      else {
        const size = sizeOfTree(value, 1)
        if (size === undefined) break
        bytes += size
      }
      values.push(value)
      place++
    }
    if (place === keys.length && values.length === before + place) return bytes
    values.length = before
    return undefined
  }

  /** Returns the rows that were added completely. */
  rows(): PackedChunk<unknown> {
    return new PackedChunk({ keys: this.#keys ?? [], values: this.#values })
  }

  /** Returns the rows that were added since the last call. */
  take(): PackedRows {
    const packed = { keys: this.#keys ?? [], values: this.#values }
    this.clear()
    return packed
  }

  clear(): void {
    this.#keys = undefined
    this.#values = []
  }
}

/** Returns the names of the row's properties; undefined if the object is probably not a row. */
function usableKeys(row: object): readonly string[] | undefined {
  const keys = Object.keys(row)
  // Assigning `__proto__` would not create a property.
  const isUsable = keys.length > 0 && keys.length <= MAX_KEYS && !keys.includes('__proto__')
  return isUsable && keys.join() !== MOVED_KEYS ? keys : undefined
}

/**
 * Returns the approximate size of a value in bytes; undefined if it is nested too deeply or may contain references that packing would
 * break.
 */
function sizeOfTree(value: unknown, depth: number): number | undefined {
  if (typeof value === 'string') return value.length + WORD
  if (typeof value !== 'object' || value === null) return WORD
  if (depth > MAX_DEPTH) return undefined
  if (ArrayBuffer.isView(value)) return value.byteLength + WORD
  let bytes = WORD
  if (Array.isArray(value)) {
    for (const part of value) {
      const size = sizeOfTree(part, depth + 1)
      if (size === undefined) return undefined
      bytes += size
    }
    return bytes
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Date.prototype) return WORD
  if (prototype !== Object.prototype) return undefined
  for (const key in value) {
    const size = sizeOfTree((value as Record<string, unknown>)[key], depth + 1)
    if (size === undefined) return undefined
    bytes += key.length + size
  }
  return bytes
}

/** Items that have arrived in one message. */
export interface Chunk<T> {
  readonly length: number
  at(index: number): T
}

export class PackedChunk<T> implements Chunk<T> {
  readonly length: number
  readonly #keys: readonly string[]
  readonly #values: readonly unknown[]
  readonly #empty: Readonly<Record<string, unknown>>

  constructor({ keys, values }: PackedRows) {
    this.#keys = keys
    this.#values = values
    this.length = keys.length === 0 ? 0 : Math.floor(values.length / keys.length)
    this.#empty = Object.fromEntries(keys.map((key) => [key, null]))
  }

  /** Unpacks a row. Copying an empty row and filling it is twice as fast as adding the properties one after another. */
  at(index: number): T {
    const row: Record<string, unknown> = { ...this.#empty }
    const keys = this.#keys
    const from = index * keys.length
    for (let place = 0; place < keys.length; place++) row[keys[place] as string] = this.#values[from + place]
    return row as T
  }
}

export class ListChunk<T> implements Chunk<T> {
  readonly length: number
  readonly #items: readonly T[]

  constructor(items: readonly T[]) {
    this.#items = items
    this.length = items.length
  }

  at(index: number): T {
    return this.#items[index] as T
  }
}
