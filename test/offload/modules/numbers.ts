import { isMainThread, threadId } from 'node:worker_threads'
import { move } from '../../../src/offload/move.ts'
import { Unit } from './unit.ts'

export const version = 3

export class Machine {}

export function add(a: number, b: number): number {
  return a + b
}

export async function label(value: number, unit: Unit = Unit.Metre): Promise<string> {
  return `${value} ${unit}`
}

export function whereabouts(): { isMainThread: boolean; threadId: number; conditions: readonly string[] } {
  return { isMainThread, threadId, conditions: process.execArgv.filter((flag) => flag.startsWith('--conditions')) }
}

export function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Moves its result, and later reports the size of its own buffer through `left`. */
export function ramp(length: number, left: Int32Array): ReturnType<typeof rampOf> {
  return rampOf(length, left)
}

function rampOf(length: number, left: Int32Array) {
  const values = Float64Array.from({ length }, (_, index) => index)
  setTimeout(() => {
    Atomics.store(left, 0, values.byteLength)
    Atomics.store(left, 1, 1)
    Atomics.notify(left, 1)
  }, 1)
  return move({ values }, [values])
}

export function unclonable(): () => number {
  return () => 1
}

export default function twice(value: number): number {
  return 2 * value
}
