import { Piscina } from 'piscina'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { measureCalls } from './offload-calls.ts'

/** The options that Piko gives to piscina. */
export default async function offloadPiscina({ threads }: SystemConfig): Promise<Found> {
  const piscina = new Piscina({
    filename: new URL('../offload/tasks.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: Number(threads),
    idleTimeout: 60_000,
    atomics: 'disabled',
    recordTiming: false,
  })
  const values = await measureCalls({
    increment: (value) => piscina.run(value, { name: 'increment' }) as Promise<number>,
    touch: (buffer, transfer) =>
      piscina.run(buffer, { name: 'touch', ...(transfer ? { transferList: [buffer] } : {}) }) as Promise<number>,
  })
  await piscina.destroy()
  return { about: { versions: { package: Piscina.version }, settings: { threads, atomics: 'disabled' } }, values }
}
