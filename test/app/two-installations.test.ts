import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineCache, store as shared } from '../../src/cache/index.ts'
import type { Item } from '../../src/item/item.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { OpenOptions } from '../../src/store/connection/database.ts'
import { defineShared } from '../../src/sync/index.ts'
import { eventually, Gate, startApp } from '../support/app.ts'
import { createMysqlDatabase, createSqliteFile, describeEachStore } from '../support/databases.ts'

/** Another database of the same server, or another file. It is removed after the test. */
async function anotherDatabase(name: 'sqlite' | 'mysql'): Promise<OpenOptions> {
  if (name === 'sqlite') {
    const { path, remove } = createSqliteFile()
    onTestFinished(remove)
    return { sqlitePath: path }
  }
  const { options, drop } = await createMysqlDatabase()
  onTestFinished(drop)
  return { mysql: options }
}

describeEachStore((store) => {
  it('two installations with a database each share no run, item, lane, lock, value or cache, though all names are the same', async () => {
    const gate = new Gate()
    const done: string[] = []
    /** Its items are permanently unique within the job, and the lane runs one at a time. */
    const job = (installation: string) =>
      defineJob(
        {
          id: 'shop',
          concurrency: 1,
          items: {
            page: {
              run: async ({ data }: Item<string>, ctx) => {
                if (installation === 'one') await gate.pass(ctx.signal)
                done.push(`${installation} ${data}`)
              },
              lane: () => 'shop.test',
              lanes: { '*': { parallel: 1 } },
              laneScope: 'shops',
              dedup: 'job',
            },
          },
        },
        async (ctx) => ctx.items.add('page', ['a', 'b']),
      )
    const Rate = defineShared({ topic: 'rate', schema: z.number(), initial: 1 })
    const cache = defineCache<string>({ name: 'pages', ttl: '1h', l2: shared() })
    const other = await anotherDatabase(store.name)
    const [one, two] = [await startApp(store.options, job('one')), await startApp(other, job('two'))]

    const held = await one.enqueue('shop')
    await eventually(async () => expect((await one.items.status(held)).running).toBe(1))
    const run = await two.run('shop', { wait: true })
    expect([run.state, done.toSorted()]).toEqual(['succeeded', ['two a', 'two b']])
    expect(await two.items.status(run.id)).toMatchObject({ total: 2, done: 2, duplicates: 0 })

    const electors = [one, two].map((app) => app.elector('boss'))
    await eventually(() => expect(electors.map(({ isLeader }) => isLeader)).toEqual([true, true]))

    await one.shared(Rate).publish(7)
    expect(await two.shared(Rate).refresh()).toBe(1)
    await one.cache(cache).set('/', 'of one')
    expect(await two.cache(cache).get('/')).toBeUndefined()

    for (const app of [one, two]) {
      expect(await app.nodes.list()).toHaveLength(1)
      expect(await app.runs.list()).toHaveLength(1)
    }
    gate.open()
    await eventually(async () => expect((await one.runs.show(held)).state).toBe('succeeded'))
    expect(done.toSorted()).toEqual(['one a', 'one b', 'two a', 'two b'])
  })
})
