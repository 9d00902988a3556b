import { heldRss } from '../harness/held-rss.ts'
import type { Found } from '../harness/rounds.ts'
import { payload, type SystemConfig } from '../harness/system.ts'

/** The minimum cost of a handler in flight: a job object, an AbortController and three nested awaits. */
export default async function inFlightBare(config: SystemConfig): Promise<Found> {
  const runs = Number(config['runs'])
  const release: (() => void)[] = []
  const inner = async (id: number): Promise<number> => {
    await new Promise<void>((resolve) => release.push(resolve))
    return id
  }
  const middle = async (id: number, signal: AbortSignal): Promise<number> => {
    const value = await inner(id)
    return signal.aborted ? 0 : value
  }
  const run = async (id: number): Promise<number> => {
    const job = { id, queue: 'q', attempts: 1, payload: payload(id), runAt: new Date() }
    const controller = new AbortController()
    return middle(job.id, controller.signal)
  }
  const running: Promise<number>[] = Array.from({ length: runs }, () => Promise.resolve(0))
  const idle = await heldRss()
  const began = performance.now()
  for (let id = 0; id < runs; id++) running[id] = run(id)
  const tookMs = performance.now() - began
  const held = await heldRss()
  for (const go of release) go()
  await Promise.all(running)
  return {
    about: { versions: {}, settings: {} },
    values: {
      'RSS per run': { value: (held - idle) / runs, unit: 'bytes' },
      'time until all have begun': { value: tookMs, unit: 'ms' },
    },
    settings: { runs },
  }
}
