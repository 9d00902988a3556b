import { parentPort } from 'node:worker_threads'
import { move } from '../../../src/offload/move.ts'
import { PikoError } from '../../../src/errors.ts'

/** Counts in shared memory until its thread ends. */
export function spin(counter: Int32Array): never {
  for (;;) {
    Atomics.add(counter, 0, 1)
    Atomics.notify(counter, 0)
  }
}

/** Reports its start (`gate[0]` counts up), then holds its thread until `gate[1]` opens. */
export function hold<T>(gate: Int32Array, result: T): T {
  Atomics.add(gate, 0, 1)
  Atomics.notify(gate, 0)
  Atomics.wait(gate, 1, 0)
  return result
}

export function length(bytes: Uint8Array): number {
  return bytes.byteLength
}

export function fill(length: number) {
  const bytes = new Uint8Array(length).fill(7)
  return move(bytes)
}

export function exit(code: number): never {
  process.exit(code)
}

export function throwLater(): Promise<never> {
  setTimeout(() => {
    throw new RangeError('from a timer')
  })
  return new Promise(() => {})
}

export function devour(): number {
  const kept: number[][] = []
  for (;;) kept.push(Array.from({ length: 10_000 }, Math.random))
}

/** Buffers are outside the heap that the engine limits. */
export function devourBuffers(): never {
  const kept: Buffer[] = []
  for (;;) {
    kept.push(Buffer.alloc(2 ** 20, 1))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}

export class RowError extends Error {
  override readonly name = 'RowError'
  readonly code = 'BAD_ROW'
  readonly row = { line: 7 }
  readonly report = () => this.row
}

export function failWithCause(): never {
  throw new RowError('row 7 is bad', { cause: new SyntaxError('no comma', { cause: new RangeError('column 3') }) })
}

export function failTogether(): Promise<never> {
  return Promise.any([Promise.reject(new TypeError('first')), Promise.reject(new RowError('second'))])
}

export function failAsPiko(): never {
  throw new PikoError('RUN_FAILED', 'no', { details: { shop: 'eu' } })
}

export function throwText(): never {
  // oxlint-disable-next-line typescript/only-throw-error -- that it may be done is what the test is about
  throw 'plain text'
}

/** Returns how many calls began before this one. */
export function ticket(counter: Int32Array): number {
  return Atomics.add(counter, 0, 1)
}

/** Replies immediately, and throws later while its thread works for another call. */
export function throwAfterwards(gate: Int32Array): string {
  setTimeout(() => {
    Atomics.add(gate, 0, 1)
    Atomics.notify(gate, 0)
    throw new RangeError('too late')
  }, 20)
  void Promise.reject(new TypeError('rejected too late'))
  return 'answered'
}

/** Replies when `gate[0]` has increased, without blocking its thread. */
export async function answerAfter(gate: Int32Array): Promise<string> {
  while (Atomics.load(gate, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await new Promise((resolve) => setTimeout(resolve, 20))
  return 'innocent'
}

export function throwHostile(field: string): never {
  throw Object.defineProperty(new Error('hidden'), field, {
    get() {
      throw new Error('no')
    },
  })
}

export function throwUntouchable(): never {
  // oxlint-disable-next-line typescript/only-throw-error -- that it may be done is what the test is about
  throw new Proxy(
    {},
    {
      getPrototypeOf: () => Object.prototype,
      get: () => {
        throw new Error('a trap threw')
      },
      has: () => {
        throw new Error('a trap threw')
      },
    },
  )
}

export function returnHostile(): object {
  return {
    get bad(): never {
      throw new Error('no')
    },
  }
}

export function failByThousands(): never {
  throw new AggregateError(Array.from({ length: 100_000 }, (_, index) => new Error(`part ${index}`)))
}

/** Sends what no part of Piko sends. */
export async function postNothing(): Promise<string> {
  for (const message of [null, undefined, 'text', { piko: 'stream' }]) parentPort?.postMessage(message)
  await new Promise((resolve) => setTimeout(resolve, 20))
  return 'answered'
}

export function loopNextTick(): string {
  process.nextTick(() => {
    for (;;);
  })
  return 'answered'
}

/** A timer that keeps nothing alive is no work that a call leaves behind. */
export function loopSoon(gate: Int32Array): string {
  setTimeout(() => {
    Atomics.add(gate, 0, 1)
    for (;;);
  }, 20).unref()
  return 'answered'
}
