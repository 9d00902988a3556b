import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Gate, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const MINUTE_MS = 60_000

describeEachStore((fixture) => {
  let database: Database

  const start = async (...jobs: ReturnType<typeof defineJob>[]) => {
    database = await fixture.open()
    await fixture.empty()
    return startApp(fixture.options, jobs)
  }

  it('says how the run of a tick ended, or what it waits for', async () => {
    const gate = new Gate()
    const app = await start(
      defineJob({ id: 'well', every: '1s' }, () => {}),
      defineJob({ id: 'ill', every: '1s' }, () => {
        throw new Error('no such shop')
      }),
      defineJob({ id: 'stuck', every: '1s', concurrency: 1 }, () => gate.pass()),
    )
    const { runId } = await nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'ill')
    const { tick } = await app.runs.show(runId)
    expect((await app.jobs.why('ill', tick)).sentence).toMatch(
      /^ill at .*Z: run \d+ failed at .*, after one attempt: no such shop\.$/,
    )
    await eventually(async () => expect((await app.jobs.why('well')).sentence).toMatch(/run \d+ succeeded at /))
    await eventually(async () =>
      expect((await app.jobs.why('stuck')).sentence).toMatch(
        /has been due since .* and waits: the job runs at most 1 at the same time \(concurrency\), and run \d+ is running\.$/,
      ),
    )
    gate.open()
  })

  it('says why there is no run', async () => {
    const app = await start(
      defineJob({ id: 'hourly', cron: '0 * * * *' }, () => {}),
      defineJob({ id: 'by_hand' }, () => {}),
    )
    expect((await app.jobs.why('by_hand')).sentence).toBe('by_hand: it has no schedule; it runs only on request.')
    expect((await app.jobs.why('hourly')).sentence).toMatch(
      /^hourly: no tick has been due yet; the next is .*:00:00Z\.$/,
    )
    expect((await app.jobs.why('hourly', new Date('2026-01-01T00:30:00Z'))).sentence).toMatch(
      /its schedule does not fire then; it next fires at 2026-01-01T01:00:00Z/,
    )
    expect((await app.jobs.why('hourly', new Date('2026-01-01T00:00:00Z'))).sentence).toMatch(
      /the job was registered later/,
    )
    const next = new Date(Math.ceil((Date.now() + MINUTE_MS) / 3_600_000) * 3_600_000)
    expect((await app.jobs.why('hourly', next)).sentence).toMatch(/that is in the future/)
    await database.db.updateTable('piko_job').set({ is_paused: 1 }).where('id', '=', 'hourly').execute()
    expect((await app.jobs.why('hourly', next)).sentence).toMatch(/the job is paused/)
    await expect(app.jobs.why('nobody')).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
  })

  it('tells what each rule decided, and what would change it', async () => {
    const app = await start(
      defineJob({ id: 'ill', every: '1s' }, () => {
        throw new Error('no such shop')
      }),
      defineJob(
        {
          id: 'days',
          cron: '0 0 * * *',
          timezone: 'UTC',
          windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-04T00:00:00Z', catchUp: 'latest' },
        },
        () => {},
      ),
      defineJob({ id: 'night', cron: '30 2 * * *', timezone: 'Europe/Berlin' }, () => {}),
    )
    const { runId } = await nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'ill')
    const { tick } = await app.runs.show(runId)
    const failed = (await app.jobs.why('ill', tick)).steps
    expect(failed.map(({ rule, verdict }) => [rule, verdict])).toEqual([
      ['schedule', 'passed'],
      ['pause', 'passed'],
      ['planning', 'passed'],
      ['run', 'stopped'],
    ])
    expect(failed.at(-1)?.evidence).toMatch(/no such shop$/)
    expect(failed.at(-1)?.change).toEqual({ verb: 'runs.replay', runId })
    await eventually(async () =>
      expect((await app.windows.list('days')).map(({ state }) => state)).toContain('succeeded'),
    )
    expect((await app.jobs.why('days', '2026-01-01')).steps.at(-1)).toMatchObject({
      verdict: 'stopped',
      change: { verb: 'backfills.create', jobId: 'days', from: new Date('2026-01-01T00:00:00Z') },
    })
    const skipped = (await app.jobs.why('night', new Date('2026-03-29T01:00:00Z'))).steps
    expect(skipped.find(({ rule }) => rule === 'clock change')?.evidence).toMatch(/skip this time on this day/)
    await app.jobs.pause('night')
    expect((await app.jobs.why('night', new Date('2026-03-30T00:30:00Z'))).steps.at(-1)).toMatchObject({
      rule: 'pause',
      verdict: 'stopped',
      change: { verb: 'jobs.resume', jobId: 'night' },
    })
    expect((await app.jobs.why('night', new Date('2026-03-30T00:31:00Z'))).steps).toMatchObject([
      { rule: 'schedule', verdict: 'stopped', change: { verb: 'schedules.set' } },
    ])
  })

  it('names the limit, the calendar or the node that holds a run back, and what changes it', async () => {
    const gate = new Gate()
    const app = await start(
      defineJob({ id: 'stuck', concurrency: 1 }, () => gate.pass()),
      defineJob({ id: 'keyed', concurrency: { limit: 1, key: (run) => String(run.input) } }, () => gate.pass()),
      defineJob({ id: 'rated', rate: '1/h' }, () => {}),
      defineJob({ id: 'plain' }, () => {}),
      defineJob(
        {
          id: 'workdays',
          cron: '0 6 * * *',
          timezone: 'Europe/Berlin',
          exclude: { dates: ['2026-12-25'], weekdays: ['sun'], when: (_, { date }) => date === '2026-12-24' },
        },
        () => {},
      ),
    )
    const last = async (jobId: string) => {
      const { sentence, steps, runId } = await app.jobs.why(jobId)
      return { sentence, runId, ...steps.at(-1) }
    }
    const first = await app.enqueue('stuck')
    await eventually(async () => expect((await app.runs.show(first)).state).toBe('running'))
    expect((await last('stuck')).sentence).toMatch(/^stuck: run \d+ has been running since /)
    const second = await app.enqueue('stuck')
    const concurrency = `the job runs at most 1 at the same time (concurrency), and run ${first} is running`
    expect(await last('stuck')).toMatchObject({
      runId: second,
      ...{ rule: 'concurrency', verdict: 'waiting', evidence: concurrency },
      change: { verb: 'runs.cancel', runId: first },
    })
    expect((await last('stuck')).sentence).toMatch(
      /^stuck: run \d+ has been due since .* and waits: the job runs at most 1/,
    )

    const eu = await app.enqueue('keyed', { input: 'eu' })
    await eventually(async () => expect((await app.runs.show(eu)).state).toBe('running'))
    await app.enqueue('keyed', { input: 'eu' })
    expect(await last('keyed')).toMatchObject({
      ...{ rule: 'concurrency', verdict: 'waiting' },
      evidence: `at most 1 with the key "eu" run at the same time, and run ${eu} is running`,
    })

    await app.run('rated', { wait: true })
    const rated = await app.enqueue('rated')
    expect(await last('rated')).toMatchObject({ rule: 'rate', verdict: 'waiting', runId: rated })
    expect((await last('rated')).evidence).toMatch(
      /^at most 1 attempt may begin in 1h 00m \(rate\), and the next one may begin in .*, at 20/,
    )

    for (const [day, why] of [
      ['2026-12-24', 'the function exclude.when returns true for 2026-12-24 06:00:00 (Europe/Berlin)'],
      ['2026-12-25', 'exclude.dates has 2026-12-25 (Europe/Berlin)'],
      ['2026-12-27', 'exclude.weekdays has sun, and 2026-12-27 is such a day (Europe/Berlin)'],
    ]) {
      const found = await app.jobs.why('workdays', new Date(`${day}T05:00:00Z`))
      expect(found.sentence).toContain(`its calendar leaves this tick out: ${why}; it next fires at 2026-12-2`)
      expect(found.steps.at(-1)).toMatchObject({
        ...{ rule: 'calendar', verdict: 'stopped', change: { verb: 'schedules.set', jobId: 'workdays' } },
      })
    }

    const [node] = await app.nodes.list()
    await app.nodes.drain(node?.id ?? '')
    const plain = await app.enqueue('plain')
    await eventually(async () =>
      expect(await last('plain')).toMatchObject({
        ...{ rule: 'slots', verdict: 'waiting', runId: plain },
        change: { verb: 'nodes.resume', nodeId: node?.id },
      }),
    )
    await database.sql.exec('UPDATE piko_node SET jobs = ?', ['{"stuck":"1"}'])
    expect(await last('plain')).toMatchObject({ rule: 'nodes', verdict: 'waiting' })
    expect((await last('plain')).sentence).toContain('and waits: no live node knows the job: it is not in the code of ')
    gate.open()
  })

  it('a paused job does not fire, on any node and after a deploy, until it is resumed', async () => {
    const job = defineJob({ id: 'tick', every: '200ms', misfireGraceTime: '0s' }, () => {})
    const app = await start(job)
    await nextEvent(app, 'run.settled')
    await app.jobs.pause('tick')
    const again = await startApp(fixture.options, job)
    const runs = async (): Promise<number> => (await again.runs.list({ jobId: 'tick', limit: 1_000 })).length
    // Runs that were planned ahead still run.
    await eventually(async () => expect((await again.runs.list({ state: 'queued' })).length).toBe(0))
    const before = await runs()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(await runs()).toBe(before)
    expect((await again.jobs.list())[0]).toMatchObject({ isPaused: true })
    await again.jobs.resume('tick')
    await eventually(async () => expect(await runs()).toBeGreaterThan(before + 2))
    await expect(app.jobs.pause('nobody')).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
  })

  it('says why a tick was skipped', async () => {
    const job = defineJob({ id: 'tick', every: '1m', misfireGraceTime: '30s' }, () => {})
    const first = await start(job)
    await first.stop()
    const { db, dialect } = database
    const tick = new Date(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 3 * MINUTE_MS)
    await db
      .updateTable('piko_job')
      .set({ next_tick: dialect.instant(tick), plan_at: dialect.instant(tick) })
      .execute()
    const app = await startApp(fixture.options, job)
    await eventually(async () =>
      expect((await app.jobs.why('tick', tick)).sentence).toMatch(
        /it was skipped \(misfire\): no node planned it within misfireGraceTime\.$/,
      ),
    )
  })

  it("uses the schedule in force while an edited one can't be read, and says so", async () => {
    const app = await start(defineJob({ id: 'hourly', cron: '0 * * * *' }, () => {}))
    for (const text of ['every day', '{bad']) {
      await database.sql.exec('UPDATE piko_job SET schedule = ?', [text])
      expect((await app.jobs.why('hourly')).sentence).toMatch(
        /^hourly: no tick has been due yet; the next is .*; its edited schedule is invalid, so the previous one stays in force: .* is ".*"; expected .*\.$/,
      )
    }
  })

  it('handles jobs with a calendar function', async () => {
    const app = await start(defineJob({ id: 'workday', cron: '0 * * * *', exclude: () => false }, () => {}))
    expect((await app.jobs.why('workday')).sentence).toMatch(/^workday: no tick has been due yet; the next is /)
  })

  it('says what happened to a window: skipped, run only by a backfill, stale, or held up by a pause', async () => {
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-01T06:00:00Z' } as const
    const app = await start(
      defineJob({ id: 'hours', cron: '0 * * * *', windows: { ...windows, catchUp: 'latest' } }, () => {}),
      defineJob(
        {
          id: 'after',
          cron: '0 */6 * * *',
          windows: { ...windows, catchUp: 'none' },
          dependsOn: ['hours'],
          onUpstreamChange: 'stale',
        },
        () => {},
      ),
    )
    const at = (hour: number) => new Date(Date.parse(windows.start) + hour * 3_600_000)
    await eventually(async () => expect((await app.windows.summary('hours')).counts.succeeded).toBe(1))
    const range = { from: windows.start, to: windows.end }
    await (await app.backfills.create('hours', range)).wait()
    expect((await app.jobs.why('hours', at(2))).sentence).toMatch(/run \d+ succeeded at /)
    await (await app.backfills.create('after', range)).wait()
    await app.run('hours', { window: at(3), wait: true })
    expect((await app.jobs.why('after', at(6))).sentence).toMatch(
      /run \d+ succeeded at .*, and its window is stale: a window that it depends on ran again\.$/,
    )
    const [, second, third] = await app.windows.list('hours')
    for (const { start, end, runId } of [second!, third!]) {
      const why = await app.jobs.why('hours', start)
      expect(why.runId).toBe(runId)
      const bounds = `${start.toISOString()} to ${end.toISOString()}`.replaceAll('.000Z', 'Z')
      expect(why.sentence).toContain(`, the start of window ${bounds}: run ${runId} succeeded at `)
    }
    await database.sql.exec(`UPDATE piko_window SET state = 'skipped', run_id = NULL WHERE job_id = 'hours'`)
    expect((await app.jobs.why('hours', at(2))).sentence).toMatch(
      /its window was missed, and windows\.catchUp leaves it out; a backfill can run it\.$/,
    )
  })

  it('explains a window whose backfill is paused', async () => {
    const gate = new Gate()
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-01T06:00:00Z', catchUp: 'none' } as const
    const app = await start(defineJob({ id: 'hours', cron: '0 * * * *', windows }, () => gate.pass()))
    const backfill = await app.backfills.create('hours', { from: windows.start, to: windows.end, parallel: 1 })
    await eventually(async () => expect(await backfill.status()).toMatchObject({ running: 1, queued: 5 }))
    await backfill.pause()
    expect((await app.jobs.why('hours', new Date(windows.end))).sentence).toMatch(
      /^hours at 2026-01-01T06:00:00Z, the tick of window 2026-01-01T05:00:00Z to 2026-01-01T06:00:00Z: run \d+ waits because backfill \d+ is paused\.$/,
    )
    gate.open()
  })
})
