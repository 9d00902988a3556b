import { MAX_CHUNKS_AHEAD } from './chunk-size.ts'

const TAKEN = 0
const IS_WAITING = 1

/**
 * Memory that both ends of a stream share. It contains how many chunks the reader has taken, and whether the writer is waiting for room.
 */
export type SharedRoom = Int32Array

export function newRoom(): SharedRoom {
  return new Int32Array(new SharedArrayBuffer(8))
}

/** Decides whether the writer may send another chunk. The reader sends a message only if the writer must wait. */
export class WriterRoom {
  readonly #shared: SharedRoom
  #sent = 0

  constructor(shared: SharedRoom) {
    this.#shared = shared
  }

  /** Whether the reader has taken all chunks. */
  get isAll(): boolean {
    return Atomics.load(this.#shared, TAKEN) === this.#sent
  }

  /** Whether one more chunk may be sent. If not, the reader sends a message when there is room. */
  get isAny(): boolean {
    if (this.#isFree) return true
    Atomics.store(this.#shared, IS_WAITING, 1)
    // The reader may have taken a chunk just before it could see that the writer is waiting. So this checks again.
    return this.#isFree
  }

  take(): void {
    this.#sent = (this.#sent + 1) | 0
  }

  get #isFree(): boolean {
    return ((this.#sent - Atomics.load(this.#shared, TAKEN)) | 0) < MAX_CHUNKS_AHEAD
  }
}

/** Records that the reader has taken a chunk. @returns whether the writer is waiting for room */
export function giveRoom(shared: SharedRoom): boolean {
  Atomics.add(shared, TAKEN, 1)
  return Atomics.exchange(shared, IS_WAITING, 0) === 1
}
