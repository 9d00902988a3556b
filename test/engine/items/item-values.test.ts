import { beforeEach, expect, it } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import { isPikoError } from '../../../src/errors.ts'
import type { Item } from '../../../src/item/item.ts'
import { storeOn } from '../../../src/store/store.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  it('distinguishes scores by every byte of their group and name', async () => {
    const { items } = storeOn(database)
    const outcomes = [{ ok: true, ms: undefined }]
    const names = ['a', 'a ', 'a  ']
    await items.addScores(names.map((name) => ({ jobId: 'job', group: 'outcomes', name, outcomes })))
    await items.addScores(names.map((group) => ({ jobId: 'job', group, name: 'outcomes', outcomes })))
    const stored = await items.scores('job', 'outcomes')
    expect(new Set(stored.map(({ name }) => name))).toEqual(new Set(names))
    for (const group of names) expect(await items.scores('job', group)).toMatchObject([{ name: 'outcomes', ok: 1 }])
  })

  it('distinguishes notes and states by every byte of their names', async () => {
    const seen: unknown[] = []
    const job = defineJob(
      {
        id: 'names',
        items: {
          name: {
            run: async ({ data }: Item<string>, ctx) => {
              const text = await ctx.lane.note(data, async () => ({ text: `note "${data}"`, ttl: '1h' }))
              const { value } = await ctx.state(data, { size: 1, create: async () => `state "${data}"` })
              seen.push([text, value])
            },
            lane: () => 'one',
            lanes: { '*': { parallel: 1 } },
          },
        },
      },
      async (ctx) => {
        await ctx.items.add('name', ['a', 'a ', 'a  '])
      },
    )
    const app = await startApp(fixture.options, [job])
    await app.run('names', { wait: true })
    expect(seen).toEqual(['a', 'a ', 'a  '].map((name) => [`note "${name}"`, `state "${name}"`]))
  })

  it('ends an item whatever it counts, scores and keeps, and refuses what the database could not give back', async () => {
    const refused: unknown[] = []
    const job = defineJob(
      {
        id: 'values',
        items: {
          value: {
            run: async (_item: Item, ctx) => {
              const refuses = async (call: () => unknown): Promise<void> => {
                try {
                  refused.push(await call())
                } catch (error) {
                  refused.push(isPikoError(error) ? error.message : error)
                }
              }
              ctx.countBytes(1e300)
              await refuses(() => ctx.score('group', 'name', { ok: true, ms: Infinity }))
              await refuses(() => ctx.state('made', { size: 1, create: async () => new Map([[1, 2]]) }))
              const state = await ctx.state('saved', { size: 1, create: async () => ({ at: 0 }) })
              await refuses(() => state.save({ at: Number.NaN }))
            },
            dedup: false,
          },
        },
      },
      async (ctx) => {
        await ctx.items.add('value', [{}])
        await ctx.items.add('value', [{}])
      },
    )
    const app = await startApp(fixture.options, [job])
    const run = await app.run('values', { wait: true })
    expect(await app.items.status(run.id)).toMatchObject({ done: 2, bytes: Number.MAX_SAFE_INTEGER })
    expect([...new Set(refused)]).toEqual([
      'ctx.score got the ms Infinity; expected a number of milliseconds',
      'the state of job "values" can\'t be stored as JSON: state is a Map, of which JSON keeps nothing: pass Object.fromEntries(map)',
      'the state of job "values" can\'t be stored as JSON: state.at is NaN, which JSON turns into null',
    ])
  })
})

it('a scope of lanes that MySQL would confuse with another is refused', () => {
  const items = { page: { run: () => {}, laneScope: 'shop ' } }
  expect(() => defineJob({ id: 'scoped', items }, () => {})).toThrow(
    'items.page: laneScope is "shop "; expected a string of 1 to 128 characters that does not end with a space',
  )
})
