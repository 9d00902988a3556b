import { describe, PikoError } from '../errors.ts'
import type { Route } from './routes.ts'

/** The running deliveries of one attempt, at most one for each lane. */
export class Lanes {
  readonly #count: number
  readonly #running = new Map<number, Promise<void>>()

  constructor(count: number) {
    this.#count = count
  }

  get isIdle(): boolean {
    return this.#running.size === 0
  }

  /** Waits until the given lane is free; undefined: until any lane is free. @returns the lane */
  async free(lane: number | undefined): Promise<number> {
    if (lane !== undefined) {
      await this.#running.get(lane)
      return lane
    }
    while (this.#running.size >= this.#count) await Promise.race(this.#running.values())
    for (let free = 0; ; free++) if (!this.#running.has(free)) return free
  }

  /** Starts a delivery in a lane. @param delivery never rejects */
  start(lane: number, delivery: () => Promise<void>): Promise<void> {
    const running = delivery().finally(() => this.#running.delete(lane))
    this.#running.set(lane, running)
    return running
  }

  /** Resolves when no delivery is in progress. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values())
  }
}

/** Chooses the lane of a row by its key. Rows with the same key are always in the same lane. */
export class LaneChoice {
  readonly #sinkName: string
  readonly #key: (row: unknown) => unknown
  readonly #count: number

  constructor(sinkName: string, key: (row: unknown) => unknown, count: number) {
    this.#sinkName = sinkName
    this.#key = key
    this.#count = count
  }

  /**
   * Returns the index of a row's lane.
   *
   * @param index the index of the row in its write
   * @throws PikoError `SINK_ROW_INVALID` for a row without a usable key
   */
  of({ modelName }: Route, row: unknown, index: number): number {
    const key = this.#keyOf(modelName, row, index)
    if (key instanceof Date) return hashOf(`d${key.getTime()}`) % this.#count
    if (typeof key === 'string' || typeof key === 'bigint' || typeof key === 'boolean' || isNumber(key)) {
      return hashOf(`${(typeof key).slice(0, 1)}${key}`) % this.#count
    }
    throw this.#wrong(modelName, index, `is ${describe(key)}; expected a string, a number or a date`)
  }

  #keyOf(modelName: string, row: unknown, index: number): unknown {
    try {
      return this.#key(row)
    } catch (error) {
      throw this.#wrong(modelName, index, 'could not be read: the function threw', error)
    }
  }

  #wrong(model: string, index: number, problem: string, cause?: unknown): PikoError {
    return new PikoError('SINK_ROW_INVALID', `sink ${this.#sinkName}: key of row ${index} of ${model} ${problem}`, {
      details: { sink: this.#sinkName, model, index },
      ...(cause !== undefined && { cause }),
    })
  }
}

function isNumber(key: unknown): key is number {
  return typeof key === 'number' && !Number.isNaN(key)
}

/** Returns an FNV-1a hash, which spreads short keys evenly. It is not cryptographically secure. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
