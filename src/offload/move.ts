import type { Transferable } from 'node:worker_threads'

// A registered symbol, so that a worker module may use `move` of another copy of this package.
const MOVED: unique symbol = Symbol.for('piko.offload.moved') as never

/** A value that can be moved to another thread instead of copied: a buffer, a view of a buffer, or a port. */
export type Movable = Transferable | ArrayBufferView

/** A result with a `transfer` list. The buffers and ports in this list are not copied but moved to the caller. */
export interface Moved<T> {
  readonly [MOVED]: true
  readonly value: T
  readonly transfer: readonly Transferable[]
}

/**
 * An offloaded function returns the result of `move` to move the buffers in `transfer` to the caller instead of copying them.
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

/** Creates the transfer list for `postMessage`: uses the buffers of views, and lists each buffer only once. */
export function transferList(movables: readonly Movable[]): Transferable[] {
  return [...new Set(movables.map((movable) => (ArrayBuffer.isView(movable) ? bufferOf(movable) : movable)))]
}

// The buffer may also be a `SharedArrayBuffer`, which `postMessage` refuses with its own error.
const bufferOf = (view: ArrayBufferView): Transferable => view.buffer as ArrayBuffer
