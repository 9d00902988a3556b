import { type Transferable } from 'node:worker_threads'

// Registered, so that a worker module may take `move` from another copy of this package.
const MOVED: unique symbol = Symbol.for('piko.offload.moved') as never

/** What can change its thread instead of being copied: a buffer, by itself or as a view of it, or a port. */
export type Movable = Transferable | ArrayBufferView

/** A result whose `transfer` list goes to the caller without a copy. */
export interface Moved<T> {
  readonly [MOVED]: true
  readonly value: T
  readonly transfer: readonly Transferable[]
}

/**
 * Returned by an offloaded function: hands the buffers in `transfer` over instead of copying them.
 *
 * The caller receives `value` itself. `transfer` defaults to the value, which then has to be movable.
 *
 * @example
 * export function column(rows: readonly Row[]) {
 *   const prices = Float64Array.from(rows, (row) => row.price)
 *   return move({ prices }, [prices])
 * }
 */
export function move<T extends Movable>(value: T): Moved<T>
export function move<T>(value: T, transfer: readonly Movable[]): Moved<T>
export function move<T>(value: T, transfer: readonly Movable[] = [value as Movable]): Moved<T> {
  return Object.freeze({ [MOVED]: true as const, value, transfer: transferList(transfer) })
}

export function isMoved(result: unknown): result is Moved<unknown> {
  return typeof result === 'object' && result !== null && MOVED in result
}

/** A list for `postMessage`: views stand for their buffers, and each buffer is named once. */
export function transferList(movables: readonly Movable[]): Transferable[] {
  return [...new Set(movables.map((movable) => (ArrayBuffer.isView(movable) ? bufferOf(movable) : movable)))]
}

// A view of shared memory is refused by `postMessage`, which says so itself.
const bufferOf = (view: ArrayBufferView): Transferable => view.buffer as ArrayBuffer
