import { expect, it, onTestFinished } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { UnknownJobs } from '../../../src/engine/node/unknown-jobs.ts'
import { type EventMap, Events } from '../../../src/events.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((fixture) => {
  it('tells after a start which jobs no live node knows, and on the leader when that changes', async () => {
    const store = storeOn(await fixture.open())
    await fixture.empty()
    const known = defineJob({ id: 'known', cron: '0 0 1 1 *' }, () => {})
    const older = await startApp(fixture.options, [known, defineJob({ id: 'removed', cron: '0 0 1 1 *' }, () => {})])
    const events = new Events()
    const told: EventMap['jobs.unknown'][] = []
    events.on('jobs.unknown', (payload) => told.push(payload))
    const sources = { active: () => 0, slots: () => 0, resources: () => [] }
    const metrics = new Metrics({ host: 'h', sources })
    onTestFinished(metrics.observe(events))
    const clock = new ManualClock('2026-01-01T00:00:00Z')
    const leader = { isLeader: false }
    const service = new UnknownJobs({
      store: store.doctor,
      leader,
      events,
      clock,
      loops: new LoopHealth({ clock, events }),
    })
    await service.start()
    onTestFinished(() => service.stop())
    const look = async (ms: number): Promise<void> => {
      await eventually(() => expect(clock.sleeping).toBe(1))
      clock.advance(ms)
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    await look(5_000)
    expect(told).toEqual([])

    await older.stop()
    await startApp(fixture.options, [known])
    leader.isLeader = true
    await look(60_000)
    expect(told).toEqual([{ jobIds: ['removed'] }])
    expect((await metrics.render()).body).toContain('piko_jobs_unknown 1')

    await look(60_000)
    expect(told).toHaveLength(1)
    await startApp(fixture.options, [defineJob({ id: 'removed', cron: '0 0 1 1 *' }, () => {})])
    await look(60_000)
    expect(told.at(-1)).toEqual({ jobIds: [] })
    expect((await metrics.render()).body).toContain('piko_jobs_unknown 0')
  })
})
