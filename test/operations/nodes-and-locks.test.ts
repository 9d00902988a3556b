import { hostname } from 'node:os'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const HOUR_MS = 3_600_000

describeEachStore((fixture) => {
  const start = async (...jobs: ReturnType<typeof defineJob>[]) => {
    await fixture.open()
    await fixture.empty()
    return startApp(fixture.options, jobs)
  }

  it('lists the nodes that execute runs with their leases', async () => {
    const app = await start(defineJob({ id: 'a' }, () => {}))
    const [node, ...others] = await app.nodes.list()
    expect(others).toEqual([])
    expect(node).toMatchObject({ host: hostname(), pid: process.pid, isLive: true })
    expect(node!.expiresAt.getTime()).toBeGreaterThan(node!.startedAt.getTime())
    await app.sql.exec("UPDATE piko_node SET expires_at = '2020-01-01 00:00:00.000'")
    expect(await app.nodes.list()).toMatchObject([{ id: node!.id, isLive: false }])
  })

  it('lists held locks, but not those of Piko itself', async () => {
    const app = await start(defineJob({ id: 'a' }, () => {}))
    const second = await app.locks.acquire('b/2')
    const first = await app.locks.acquire('a:1')
    expect(await app.locks.list()).toEqual([
      { name: 'a:1', fence: first.fence, expiresAt: expect.any(Date) as Date },
      { name: 'b/2', fence: second.fence, expiresAt: expect.any(Date) as Date },
    ])
    expect(await app.locks.list({ limit: 1 })).toMatchObject([{ name: 'a:1' }])
    await first.release()
    expect(await app.locks.list()).toMatchObject([{ name: 'b/2' }])
    await second.release()
  })

  it('previews the schedule in force with its windows, from code or set at run time', async () => {
    const app = await start(
      defineJob({ id: 'hourly', cron: '0 * * * *', windows: { start: '2026-01-01T00:00:00Z' } }, () => {}),
    )
    const from = '2100-01-01T00:30:00Z'
    const at = (tick: Date | undefined): string | undefined => tick?.toISOString()
    const coded = await app.schedules.preview('hourly', { from, count: 2 })
    expect(coded.ticks.map((tick) => at(tick.at))).toEqual(['2100-01-01T01:00:00.000Z', '2100-01-01T02:00:00.000Z'])
    expect(coded.windows[0]!.end.getTime() - coded.windows[0]!.start.getTime()).toBe(HOUR_MS)
    await app.schedules.set('hourly', { kind: 'cron', cron: '0 6 * * *', timezone: 'Europe/Rome' })
    const [tick] = (await app.schedules.preview('hourly', { from, count: 1 })).ticks
    expect([at(tick?.at), tick?.local, tick?.offset]).toEqual([
      '2100-01-01T05:00:00.000Z',
      '2100-01-01T06:00:00',
      '+01:00',
    ])
    await app.schedules.set('hourly', null)
    expect(await app.schedules.preview('hourly')).toEqual({ ticks: [], windows: [] })
    await expect(app.schedules.preview('nobody')).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
    await expect(app.schedules.preview('hourly', { count: 0 })).rejects.toMatchObject({ code: 'USAGE' })
  })
})
