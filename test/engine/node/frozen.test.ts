import { beforeEach, expect, it } from 'vitest'
import type { Database } from '../../../src/store/connection/database.ts'
import { PAGES, pagesJob } from '../../fixtures/engine/frozen-job.ts'
import { eventually, makeApp, recordEvents, startApp, testSettings } from '../../support/app.ts'
import { describeMysql } from '../../support/databases.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

describeMysql((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
    await database.sql.exec('DROP TABLE IF EXISTS walked')
    await database.sql.exec('CREATE TABLE walked (n INT NOT NULL)')
  })

  const walked = async (): Promise<number[]> =>
    (await database.sql.query('SELECT n FROM walked ORDER BY n')).map((row) => Number(row['n']))
  const connections = async (): Promise<number> =>
    Number((await database.sql.query('SELECT connections FROM piko_node WHERE connections IS NOT NULL')).length)

  it.each([
    { holds: 'a lane of items that it claims', after: ['piko_lane', 'skip locked'], before: 'update `piko_lane`' },
    { holds: 'a queued run that it claims', after: ['piko_run', 'skip locked'], before: 'update `piko_run`' },
    { holds: 'the rows of an item that it commits', after: ['insert into walked'], before: 'commit' },
  ])(
    'a node suspended in a transaction that holds $holds stops no other node, and writes nothing afterwards',
    async ({ after, before }) => {
      const settings = { piko: { lease: '5s' } }
      const child = new WorkerProcess(
        { settings: testSettings(fixture.options, settings), after, before },
        'engine/frozen',
      )
      await child.told('started')
      expect(await connections()).toBe(1)
      // It executes nothing itself.
      const asker = await startApp(fixture.options, pagesJob(), { execute: false })
      const id = await asker.enqueue('pages')
      await child.told('frozen')
      const app = makeApp(fixture.options, pagesJob(), { settings })
      const ended = recordEvents(app, 'connections.ended')
      const left = recordEvents(app, 'connections.left')
      await app.start()
      await eventually(() => expect(ended).toMatchObject([{ nodeIds: [expect.any(String)] }]))
      expect(await asker.waitFor(id)).toMatchObject({ state: 'succeeded' })
      const all = Array.from({ length: PAGES }, (_, n) => n)
      expect(await walked()).toEqual(all)
      child.signal('SIGCONT')
      await child.told('lost')
      // The node works under its new id.
      await app.stop()
      expect(await asker.run('pages', { wait: true })).toMatchObject({ state: 'succeeded' })
      expect(await walked()).toEqual([...all, ...all].sort((a, b) => a - b))
      expect(left).toEqual([])
    },
  )
})
