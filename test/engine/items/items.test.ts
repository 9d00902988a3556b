import { expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Item } from '../../../src/item/item.ts'
import { startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((store) => {
  it('ends a run when its items and what they added have ended, once each', async () => {
    const seen: string[] = []
    const job = defineJob(
      {
        id: 'walk',
        items: {
          node: {
            run: async (item: Item<number>, ctx) => {
              seen.push(`${item.lane}:${item.data}`)
              const next = [item.data * 2 + 1, item.data * 2 + 2, Math.floor(item.data / 2)].filter((n) => n < 1_000)
              await ctx.items.add('node', next)
            },
            lane: (n: number) => (n % 2 === 0 ? 'even' : 'odd'),
            lanes: { odd: { parallel: 8 }, even: { rate: '100000/s' } },
          },
        },
      },
      async (ctx) => ctx.items.add('node', [0]),
    )
    const app = await startApp(store.options, [job])

    const run = await app.run('walk', { wait: true })

    expect(run.state).toBe('succeeded')
    expect(run.output).toEqual({ added: 1, duplicates: 0 })
    expect(seen).toHaveLength(1_000)
    expect(new Set(seen).size).toBe(1_000)
  })
})
