import { percentile } from '../harness/percentile.ts'
import type { Values } from '../harness/rounds.ts'

/** A way in which calls reach the threads. */
export interface Calls {
  increment(value: number): Promise<number>
  touch(buffer: ArrayBuffer, transfer: boolean): Promise<number>
}

const IN_FLIGHT = 64
const WARM_UP = 20_000
const TASKS = 40_000
const BUFFER_BYTES = 100 * 2 ** 20
const BUFFERS = 8

/** Measures no-op calls per second, with 64 running at a time, and the transfer of 100 MB. */
export async function measureCalls(calls: Calls): Promise<Values> {
  const all = async (tasks: number): Promise<void> => {
    let next = 0
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (next < tasks) await calls.increment(next++)
      }),
    )
  }
  await all(WARM_UP)
  const began = performance.now()
  await all(TASKS)
  const rate = (TASKS / (performance.now() - began)) * 1_000
  return {
    tasks: { value: rate, unit: 'tasks/s' },
    '100 MB transferred': { value: await handOver(calls, true), unit: 'ms' },
    '100 MB cloned': { value: await handOver(calls, false), unit: 'ms' },
  }
}

async function handOver(calls: Calls, transfer: boolean): Promise<number> {
  const took: number[] = []
  for (let turn = 1; turn <= BUFFERS; turn++) {
    const buffer = new ArrayBuffer(BUFFER_BYTES)
    new Uint8Array(buffer).fill(turn) // Writes to the memory, so that the kernel really allocates it.
    const began = performance.now()
    const sum = await calls.touch(buffer, transfer)
    took.push(performance.now() - began)
    if (sum !== 2 * turn) throw new Error(`the thread read ${sum} where ${2 * turn} was written`)
  }
  return percentile(took, 50)
}
