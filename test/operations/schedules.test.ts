import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { storeOn } from '../../src/store/store.ts'
import { eventually, nextEvent, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

describeEachStore((fixture) => {
  let database: Database

  const job = defineJob({ id: 'report', cron: '0 0 1 1 *' }, () => {})
  const often = JSON.stringify({ kind: 'every', everyMs: 200, anchor: '1970-01-01T00:00:00.000Z' })
  /** Edits the row as a person would in a database shell. */
  const type = (schedule: string | null) => database.sql.exec('UPDATE piko_job SET schedule = ?', [schedule])

  it('an edited row takes effect within a poll, survives a deploy, and can be reverted', async () => {
    database = await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, job)
    const settled = recordEvents(app, 'run.settled')
    await type(often)
    await eventually(() => expect(settled.length).toBeGreaterThan(2))
    await app.stop()

    const again = await startApp(fixture.options, job)
    await nextEvent(again, 'run.settled')
    // The code has changed, but the override still stands.
    const deployed = await startApp(
      fixture.options,
      defineJob({ id: 'report', cron: '0 0 2 1 *' }, () => {}),
    )
    await nextEvent(again, 'run.settled')
    await nextEvent(again, 'run.settled')
    await again.stop()

    await database.sql.exec('UPDATE piko_job SET schedule = code_schedule')
    await eventually(async () => {
      const [row] = await deployed.jobs.list()
      expect(row?.nextTick?.toISOString()).toMatch(/-01-02T00:00:00\.000Z$/)
    })
  })

  it.each([
    ['an edit', 'UPDATE piko_job SET schedule = NULL'],
    ['a pause', 'UPDATE piko_job SET is_paused = 1'],
  ])('no tick fires later than one poll after %s', async (_, statement) => {
    database = await fixture.open()
    await fixture.empty()
    const poll = 600
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'report', every: '20ms' }, () => {}),
      { settings: { piko: { poll_interval: `${poll}ms` } } },
    )
    const { dialect, sql } = database
    for (let round = 0; round < 3; round++) {
      await database.sql.exec('UPDATE piko_job SET schedule = code_schedule, is_paused = 0')
      // The worst moment: right after a poll.
      await nextEvent(app, 'runs.planned')
      await sql.exec(statement)
      const { now } = await storeOn(database).plans.agenda()
      const looks = recordEvents(app, 'runs.planned')
      await eventually(async () => {
        expect(
          (await app.runs.list({ state: 'queued' })).length + (await app.runs.list({ state: 'running' })).length,
        ).toBe(0)
      })
      expect(looks.length).toBeLessThanOrEqual(1)
      const [row] = await sql.query<{ tick: Date }>('SELECT MAX(tick) AS tick FROM piko_run')
      expect(dialect.date(row!.tick).getTime() - now.getTime()).toBeLessThanOrEqual(poll)
    }
  })

  it('survives deploys that give the job windows and remove them again', async () => {
    database = await fixture.open()
    await fixture.empty()
    const windows = { start: '2026-01-01T00:00:00Z', catchUp: 'none' } as const
    const deploy = (options: object) =>
      startApp(
        fixture.options,
        defineJob({ id: 'report', cron: '0 0 1 1 *', ...options }, () => {}),
      )
    await (await deploy({})).stop()
    await type('30 6 3 3 *')
    for (const options of [{ windows }, { windows: { ...windows, parallel: 2 } }, {}]) {
      const app = await deploy(options)
      await eventually(async () => {
        const [row] = await app.jobs.list()
        expect(row).toMatchObject({ schedule: '30 6 3 3 *', plannedSchedule: '30 6 3 3 *' })
        expect(row?.nextTick?.toISOString()).toMatch(/-03-03T06:30:00\.000Z$/)
      })
      await app.stop()
    }
  })

  it('accepts a bare cron expression; reports an invalid edit once and keeps the old schedule', async () => {
    database = await fixture.open()
    await fixture.empty()
    const app = await startApp(fixture.options, job)
    await type('0 0 1 2 *')
    await eventually(async () =>
      expect((await app.jobs.list())[0]?.nextTick?.toISOString()).toMatch(/-02-01T00:00:00\.000Z$/),
    )
    const refused = recordEvents(app, 'schedule.refused')
    await type('every day')
    await eventually(() => expect(refused).toMatchObject([{ jobId: 'report', schedule: 'every day' }]))
    expect(refused[0]?.error.message).toMatch(/job "report": cron is "every day"; expected five fields/)
    await type('{bad')
    await eventually(() => expect(refused).toHaveLength(2))
    expect(refused[1]?.error.message).toMatch(/job "report": schedule is "\{bad"; expected a cron expression, or JSON/)
    expect((await app.jobs.list())[0]?.nextTick?.toISOString()).toMatch(/-02-01T00:00:00\.000Z$/)
    const changed = nextEvent(app, 'schedule.changed')
    await type(null)
    expect(await changed).toEqual({ jobId: 'report', schedule: null })
    expect(refused).toHaveLength(2)
    await eventually(async () => expect((await app.jobs.list())[0]?.nextTick).toBeUndefined())
  })

  it('new windows continue where the old ones end, after an edit and a deploy; a replay runs those of its time', async () => {
    database = await fixture.open()
    await fixture.empty()
    const start = new Date(Date.now() - 3 * 86_400_000)
    start.setUTCHours(0, 0, 0, 0)
    const windows = { start, catchUp: 'all', parallel: 8 } as const
    const hourly = (cron: string, seen: string[] = []) =>
      defineJob({ id: 'report', cron, windows }, (ctx) => void seen.push(ctx.window.start.toISOString()))
    const app = await startApp(fixture.options, hourly('0 0 * * *'))
    await eventually(async () => expect((await app.windows.summary('report')).counts.succeeded).toBe(3))

    await type('0 */6 * * *')
    // Up to six hours away, depending on which tick of the new schedule has passed.
    const count = 3 + Math.floor((Date.now() - start.getTime() - 3 * 86_400_000) / (6 * 3_600_000))
    await eventually(async () => expect((await app.windows.list('report')).length).toBeGreaterThanOrEqual(count))
    await app.stop()

    const seen: string[] = []
    const again = await startApp(fixture.options, hourly('0 0 * * *', seen))
    expect((await again.jobs.list())[0]?.schedule).toBe('0 */6 * * *')
    await again.run('report', { window: start, wait: true })
    expect(seen).toContain(start.toISOString())
    const tiles = await again.windows.list('report')
    expect(tiles[0]?.end.getTime()).toBe(start.getTime() + 86_400_000)
    for (const [index, window] of tiles.slice(1).entries()) expect(window.start).toEqual(tiles[index]?.end)
    await expect(again.run('report', { window: new Date(start.getTime() + 6 * 3_600_000) })).rejects.toMatchObject({
      code: 'WINDOW_UNKNOWN',
    })
  })
})
