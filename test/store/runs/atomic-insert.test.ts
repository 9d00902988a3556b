import { expect, it } from 'vitest'
import { storeOn } from '../../../src/store/store.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'
import { describeSqlite } from '../../support/databases.ts'

const run = (jobId: string): NewRun => ({ jobId, kind: 'manual', priority: 0 })

describeSqlite((fixture) => {
  it.each(['BEFORE', 'AFTER'])(
    'stores nothing of a request that a trigger refuses with RAISE(FAIL) (%s)',
    async (when) => {
      await fixture.empty()
      const { database, runs } = storeOn(await fixture.open())
      database.recording.heard(false)
      await database.sql.exec(
        `CREATE TRIGGER refuse ${when} INSERT ON piko_run WHEN NEW.job_id = 'bad' BEGIN SELECT RAISE(FAIL, 'no bad runs'); END`,
      )
      try {
        for (const requests of [[run('bad')], [run('a'), run('bad'), run('c')]])
          await expect(runs.enqueue(requests)).rejects.toThrow('no bad runs')
        expect(await runs.list()).toEqual([])
        const ids = await runs.enqueue([run('a'), run('c')])
        expect((await runs.list()).map(({ id }) => id)).toEqual(ids.toReversed())
      } finally {
        await database.sql.exec('DROP TRIGGER refuse')
      }
    },
  )
})
