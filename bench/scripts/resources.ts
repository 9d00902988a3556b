import { defineJob, defineResource, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

const SIZE = 10
const WORK_MS = 2

/** Runs over two pools that their jobs name in opposite order: some fail, hang until their timeout, or are cancelled; a stop in the middle. */
export default async function resources(config: SystemConfig): Promise<Found> {
  const runs = Number(config['runs'])
  const pools = [pool('a'), pool('b')] as const
  const [{ resource: A }, { resource: B }] = pools
  const both = { a: A, b: B }
  const work = async ({ input }: { readonly input: unknown }): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, WORK_MS))
    if (Number(input) % 20 === 3) throw new Error('one of twenty fails')
  }
  const hang = ({ signal }: { readonly signal: AbortSignal }): Promise<unknown> =>
    new Promise((resolve) => signal.addEventListener('abort', resolve))
  const jobs = [
    defineJob({ id: 'ab', resources: both }, work),
    defineJob({ id: 'ba', resources: { b: B, a: A } }, work),
    defineJob({ id: 'timeout', resources: both, timeout: '50ms' }, hang),
  ]
  const settings = { ...storeSettings(config), piko: { log_level: 'silent', concurrency: 500, shutdown_timeout: '5s' } }
  const first = new Piko({ jobs, settings })
  await first.start()
  const about = await aboutPiko(first, config)
  const begun: number[] = []
  first.events.on('run.started', ({ runId }) => begun.push(runId))
  const inputs = Array.from({ length: runs / 2 }, (_, input) => ({ input }))
  const beganAt = performance.now()
  const ids = [...(await first.enqueueMany('ab', inputs)), ...(await first.enqueueMany('ba', inputs))]
  ids.push(...(await first.enqueueMany('timeout', inputs.slice(0, runs / 100))))
  const [{ order }] = pools
  while (order.length < runs / 3) await new Promise((resolve) => setTimeout(resolve, 5))
  for (const id of ids.slice(runs / 2, runs / 2 + runs / 100)) await first.runs.cancel(id)
  while (order.length < runs / 2) await new Promise((resolve) => setTimeout(resolve, 5))
  const acquired = [...order]
  await first.stop()
  const heldAfterStop = pools.reduce((sum, { held }) => sum + held(), 0)
  const second = new Piko({ jobs, settings })
  await second.start()
  const states = new Map<string, number>()
  for (const id of ids) {
    const { state } = await second.waitFor(id)
    states.set(state, (states.get(state) ?? 0) + 1)
  }
  const tookS = (performance.now() - beganAt) / 1_000
  await second.stop()
  const unsettled = ids.length - [...states.values()].reduce((sum, count) => sum + count, 0)
  return {
    about,
    values: {
      'time until all had ended': { value: tookS, unit: 's' },
      succeeded: { value: states.get('succeeded') ?? 0, unit: 'runs' },
      failed: { value: states.get('failed') ?? 0, unit: 'runs' },
      cancelled: { value: states.get('cancelled') ?? 0, unit: 'runs' },
      'never ended': { value: unsettled, unit: 'runs' },
      'maximum slots borrowed from one pool': { value: Math.max(...pools.map(({ most }) => most())), unit: 'slots' },
      'borrowed after the stops': {
        value: heldAfterStop + pools.reduce((sum, { held }) => sum + held(), 0),
        unit: 'slots',
      },
      'farthest from the order of requests': { value: displacement(begun, acquired) * 100, unit: '%' },
    },
    settings: { runs, size: SIZE },
  }
}

function pool(name: string) {
  let [held, most] = [0, 0]
  const order: number[] = []
  const resource = defineResource({
    name,
    size: SIZE,
    acquire: async function* ({ runId }) {
      most = Math.max(most, ++held)
      order.push(runId)
      try {
        yield runId
      } finally {
        held -= 1
      }
    },
  })
  return { resource, order, held: () => held, most: () => most }
}

/**
 * Compares the order in which runs asked for slots with the order in which they got them. Returns the largest difference in position, as a
 * share of the number of runs.
 */
function displacement(asked: readonly number[], acquired: readonly number[]): number {
  const got = new Set(acquired)
  const places = new Map(asked.filter((id) => got.has(id)).map((id, place) => [id, place]))
  const farthest = acquired.map((id, place) => Math.abs((places.get(id) ?? place) - place))
  return farthest.reduce((most, far) => Math.max(most, far), 0) / acquired.length
}
