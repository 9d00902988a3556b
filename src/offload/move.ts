import type { Transferable } from 'node:worker_threads'

// This is a registered symbol, so that a worker module may use `move` of another copy of this package.
const MOVED: unique symbol = Symbol.for('piko.offload.moved') as never

/** A value that can be handed over to another thread instead of being copied: a buffer, a view of one, or a port. */
export type Movable = Transferable | ArrayBufferView

/** A result whose `transfer` list reaches the caller without a copy. */
export interface Moved<T> {
  readonly [MOVED]: true
  readonly value: T
  readonly transfer: readonly Transferable[]
}

/**
 * An offloaded function returns the result of `move` to hand over the buffers in `transfer` instead of copying them.
 *
 * The caller receives `value` itself. `transfer` defaults to the value, which must then be of a type that can be moved.
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

/** A list for `postMessage`: replaces views with their buffers, and lists each buffer once. */
export function transferList(movables: readonly Movable[]): Transferable[] {
  return [...new Set(movables.map((movable) => (ArrayBuffer.isView(movable) ? bufferOf(movable) : movable)))]
}

// The buffer may also be a `SharedArrayBuffer`, which `postMessage` refuses with its own error.
const bufferOf = (view: ArrayBufferView): Transferable => view.buffer as ArrayBuffer
