import { defineJob, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

/** Steps that are awaited one after the other: each waits for its own commit. */
const IN_TURN = 1_000

/** One run with many steps fails after them, and its second attempt finds them all. */
export default async function steps(config: SystemConfig): Promise<Found> {
  const count = Number(config['runs'])
  const concurrency = Number(config['concurrency'])
  const took: Record<'together' | 'inTurn' | 'found', number> = { together: 0, inTurn: 0, found: 0 }
  const items = Array.from({ length: count }, (_, index) => index)
  const job = defineJob({ id: 'steps', retry: { limit: 1, base: '1ms' } }, async (ctx) => {
    const begunAt = performance.now()
    await ctx.stepMap('item', items, (item) => ({ item, rows: 100 }), { concurrency })
    const togetherAt = performance.now()
    for (let step = 0; step < IN_TURN; step++) await ctx.step(`turn:${step}`, () => step)
    if (ctx.attempt > 1) {
      took.found = performance.now() - begunAt
      return
    }
    took.together = togetherAt - begunAt
    took.inTurn = performance.now() - togetherAt
    throw new Error('the second attempt finds the steps')
  })
  const app = new Piko({ jobs: job, settings: { piko: { log_level: 'silent' }, ...storeSettings(config) } })
  await app.start()
  const about = await aboutPiko(app, config)
  await app.run('steps', { wait: true })
  await app.stop()
  return {
    about,
    values: {
      'stored together': { value: (count / took.together) * 1_000, unit: 'steps/s' },
      'stored in turn': { value: (IN_TURN / took.inTurn) * 1_000, unit: 'steps/s' },
      'time until the next attempt has read them': { value: took.found, unit: 'ms' },
    },
    settings: { steps: count, concurrency },
  }
}
