import { expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import { eventually, nextEvent, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((fixture) => {
  it('a leader that does not know a job leaves it unchanged, and a node that knows the job plans it', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const leader = await startApp(
      fixture.options,
      defineJob({ id: 'old', every: '1s' }, () => {}),
    )
    const newer = await startApp(fixture.options, [
      defineJob({ id: 'old', every: '1s' }, () => {}),
      defineJob({ id: 'new', every: '200ms' }, () => {}),
    ])
    expect([leader.leader.isLeader, newer.leader.isLeader]).toEqual([true, false])
    await eventually(async () =>
      expect((await newer.runs.list({ jobId: 'new', state: 'succeeded' })).length).toBeGreaterThan(4),
    )
    const row = await database.db
      .selectFrom('piko_job')
      .select('plan_at')
      .where('id', '=', 'new')
      .executeTakeFirstOrThrow()
    // A node that does not know the job has not moved it into the future.
    expect(database.dialect.date(row.plan_at!).getTime()).toBeLessThan(Date.now() + 60_000)
    // The node that knows the job also applies an edit.
    const changed = nextEvent(newer, 'schedule.changed')
    await newer.schedules.set('new', null)
    expect(await changed).toEqual({ jobId: 'new', schedule: null })
  })

  it('reports who leads, since when, and with which epoch', async () => {
    await fixture.open()
    await fixture.empty()
    const first = await startApp(fixture.options, [])
    const second = await startApp(fixture.options, [])
    expect([first.leader.isLeader, second.leader.isLeader]).toEqual([true, false])
    const epoch = first.leader.epoch as number
    const changed = second.leader.changed()
    const told = nextEvent(second, 'leader.changed')
    await first.stop()
    expect(await changed).toBe(true)
    expect(await told).toEqual({ isLeader: true, epoch: second.leader.epoch })
    expect(second.leader.epoch).toBeGreaterThan(epoch)
    await expect(second.leader.changed(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})
