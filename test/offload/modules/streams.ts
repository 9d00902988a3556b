import { setTimeout as sleep } from 'node:timers/promises'
import { move } from '../../../src/offload/move.ts'
import { progress, threadSignal } from '../../../src/offload/thread/current-call.ts'

export interface Row {
  readonly id: number
  readonly text: string
}

const notify = (memory: Int32Array, index: number, by = 1): void => {
  Atomics.add(memory, index, by)
  Atomics.notify(memory, index)
}

/** `made[0]` counts the rows, `made[1]` its ends. */
export async function* rows(count: number, made: Int32Array, length = 100): AsyncGenerator<Row, void, undefined> {
  try {
    for (let id = 0; id < count; id++) {
      notify(made, 0)
      yield { id, text: 'x'.repeat(length) }
    }
  } finally {
    notify(made, 1)
  }
}

export function* numbers(count: number): Generator<number, void, undefined> {
  for (let value = 0; value < count; value++) yield value
}

export async function* failAfter(count: number): AsyncGenerator<number, void, undefined> {
  yield* numbers(count)
  throw Object.assign(new RangeError('no more'), { code: 'NO_MORE' })
}

/** Waits for its signal before its second row. */
export async function* patient(made: Int32Array): AsyncGenerator<string, void, undefined> {
  try {
    yield 'first'
    await sleep(3_600_000, undefined, { signal: threadSignal() })
  } finally {
    notify(made, 1)
  }
}

/** Ignores everything. */
export async function* stubborn(): AsyncGenerator<string, void, undefined> {
  yield 'first'
  await new Promise(() => {})
}

export async function* uncloneable(): AsyncGenerator<unknown, void, undefined> {
  yield { fine: true }
  yield { rows: [{ onDone: () => {} }] }
}

export async function sum(values: AsyncIterable<number>, most = Infinity): Promise<number> {
  let total = 0
  for await (const value of values) {
    total += value
    if (total >= most) break
  }
  return total
}

export async function* doubled(values: AsyncIterable<number>): AsyncGenerator<number, void, undefined> {
  for await (const value of values) yield 2 * value
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<number> {
  let total = 0
  for await (const bytes of source) total += bytes.length
  return total
}

export async function* linesOf(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder()
  let read = 0
  let rest = ''
  for await (const bytes of source) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line) as unknown
    progress((read += bytes.length), size)
  }
}

class Point {
  readonly x = 1
}

/** Rows whose properties differ in every way that a row can. */
export function* variety(): Generator<unknown, void, undefined> {
  const shared = { n: 1 }
  for (let id = 0; id < 3; id++) yield { id, at: new Date(id), none: undefined, tags: ['a', { deep: [id] }], shared }
  yield { id: 3, more: true }
  yield new Point()
  yield { 7: 'seven', a: 1 }
  yield JSON.parse('{ "__proto__": 1, "b": 2 }')
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  yield circle
  yield* [null, 5, 'text', [1, 2], new Map([[1, 2]])]
  yield move({ value: 1, bytes: new Uint8Array([1]) }, [])
}

/** The same object again and again, as a parser may reuse its row. */
export function* reused(count: number): Generator<unknown, void, undefined> {
  const row = { id: 0 }
  for (; row.id < count; row.id++) yield row
}

export async function* badAt(index: number): AsyncGenerator<unknown, void, undefined> {
  for (let id = 0; id < index; id++) yield { id }
  yield { id: () => {} }
}

export function* promises(): Generator<Promise<number>, void, undefined> {
  for (let value = 0; value < 3; value++) yield Promise.resolve(value)
}

export async function first<T>(values: AsyncIterable<T>): Promise<T | undefined> {
  for await (const value of values) return value
  return undefined
}
