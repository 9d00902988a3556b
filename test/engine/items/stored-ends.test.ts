import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../../src/index.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { refuseRows } from '../../support/refusing.ts'

/** The files of a folder and of those in it. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(folder, name)).isFile())
}

describeEachStore((store) => {
  it('keeps large bytes as a file as long as an item may need them', async () => {
    await store.empty()
    const folder = mkdtempSync(join(tmpdir(), 'piko-kept-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const sizes: unknown[] = []
    const job = defineJob(
      {
        id: 'kept',
        tolerate: { dead: 1 },
        items: {
          one: {
            retry: { '*': { limit: 2, base: '1ms' } },
            run: async (
              { key, attempt, kept }: { key: string; attempt: number; kept: Uint8Array | undefined },
              ctx,
            ) => {
              sizes.push(kept?.byteLength)
              if (key === 'good' && attempt === 3) return
              // Equal bytes of two items, which may fail at the same moment.
              ctx.keep(new Uint8Array(100_000 + Math.min(attempt, 2)))
              throw new Error('once more')
            },
          },
        },
      },
      async (ctx) => void (await ctx.items.add('one', ['good', 'bad'])),
    )
    const app = await startApp(store.options, job, { settings: { items: { bodies: folder } } })
    const run = await app.run('kept', { wait: true })
    expect(run.state).toBe('succeeded')
    expect(sizes.filter((size) => size === 100_002)).toHaveLength(2)
    const { items } = await app.items.list(run.id, { state: 'dead' })
    await eventually(() => expect(filesOf(folder)).toHaveLength(1))
    expect(filesOf(folder)[0]).toContain(`/${items[0]?.id}-`)
  })

  it('stores the ends of the other items of a batch if the database takes no end at all of one', async () => {
    await store.empty()
    const database = await store.open()
    const calls = new Map<string, number>()
    const { promise: allBegun, resolve } = Promise.withResolvers<void>()
    const job = defineJob(
      {
        id: 'refused',
        items: {
          one: {
            run: async ({ key }: { readonly key: string }) => {
              calls.set(key, (calls.get(key) ?? 0) + 1)
              if (calls.size === 20) resolve()
              // All end together, in one batch.
              await allBegun
            },
          },
        },
      },
      async (ctx) =>
        void (await ctx.items.add(
          'one',
          Array.from({ length: 20 }, (_, n) => `item ${n}`),
        )),
    )
    const allow = await refuseRows(database, 'piko_item', 'UPDATE', `NEW.item_key = 'item 7' AND OLD.state = 'running'`)
    const app = await startApp(store.options, job)
    try {
      await app.run('refused')
      await eventually(async () => {
        const rows = await database.sql.query("SELECT id FROM piko_item WHERE state = 'done'")
        expect(rows).toHaveLength(19)
      })
      expect([...calls.values()].filter((count) => count > 1)).toEqual([])
    } finally {
      await allow()
    }
  })
})
