import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { eventually, startApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { cleanEnv, SOURCE_FLAGS } from '../support/source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/engine/backfill.ts', import.meta.url))
const START = Date.parse('2025-01-01T00:00:00Z')
const WINDOWS = 6_000
const KILLS = 3

describeEachStore((fixture) => {
  it(`a backfill whose node is killed ${KILLS} times, with pauses between, loses no window and writes none twice`, async () => {
    const { sql } = await fixture.open()
    await fixture.empty()
    await sql.exec('CREATE TABLE IF NOT EXISTS written (start_ms BIGINT NOT NULL)')
    await sql.exec('DELETE FROM written')
    const written = async (): Promise<number> =>
      Number((await sql.query<{ n: number }>('SELECT COUNT(*) AS n FROM written'))[0]?.n)
    const windows = { start: new Date(START), end: new Date(START + WINDOWS * 60_000), catchUp: 'none' } as const
    const client = await startApp(
      fixture.options,
      defineJob({ id: 'minutes', cron: '* * * * *', windows }, () => {}),
      { execute: false },
    )
    const backfill = await client.backfills.create('minutes', {
      from: new Date(START),
      to: new Date(START + WINDOWS * 60_000),
      parallel: 40,
    })
    const node = (): ChildProcess => {
      const settings = testSettings(fixture.options, { piko: { lease: '2s', concurrency: 40 } })
      const child = spawn(process.execPath, [...SOURCE_FLAGS, SCRIPT, JSON.stringify(settings)], {
        env: cleanEnv(),
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }
    for (let kills = 0; kills < KILLS; kills++) {
      const child = node()
      const before = await written()
      await eventually(async () => expect(await written()).toBeGreaterThan(before + 200))
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    node()
    const before = await written()
    await eventually(async () => expect(await written()).toBeGreaterThan(before))
    await backfill.pause()
    await eventually(async () => expect(await backfill.status()).toMatchObject({ state: 'paused', running: 0 }))
    const paused = await written()
    // Only a run that starts after the pause could appear here; the one after the resume starts later.
    await eventually(async () => expect((await backfill.status()).running).toBe(0))
    expect(await written()).toBe(paused)
    await backfill.resume()
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded', total: WINDOWS, succeeded: WINDOWS, failed: 0 })
    const [row] = await sql.query<Record<string, number>>(
      'SELECT COUNT(*) AS n, COUNT(DISTINCT start_ms) AS d, MIN(start_ms) AS a, MAX(start_ms) AS z FROM written',
    )
    expect(Object.values(row ?? {}).map(Number)).toEqual([WINDOWS, WINDOWS, START, START + (WINDOWS - 1) * 60_000])
  })
})
