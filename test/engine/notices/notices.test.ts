import { createHmac } from 'node:crypto'
import { beforeEach, expect, it, vi } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Notice } from '../../../src/notice/notice.ts'
import { webhook } from '../../../src/notify/webhook.ts'
import { eventually, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { hookReceiver } from '../../support/hook-receiver.ts'

const NOTIFY = { quiet: '200ms', interval: '0s', timeout: '5s' }

describeEachStore((fixture) => {
  beforeEach(() => fixture.empty())

  const start = (jobs: Parameters<typeof startApp>[1], more: Parameters<typeof startApp>[2] = {}) =>
    startApp(fixture.options, jobs, {
      ...more,
      settings: { ...more.settings, notify: { ...NOTIFY, ...more.settings?.notify } },
    })

  it('tells of a failure by the hooks and a signed webhook, and of the recovery', async () => {
    const { url, received } = await hookReceiver()
    let isBroken = true
    const notices: Notice[] = []
    const hook = (notice: Notice): number => notices.push(notice)
    const sync = defineJob({ id: 'sync', onFailure: hook, onRecovered: hook }, () => {
      if (isBroken) throw new Error('no shop, password=hunter2')
    })
    const ofApp = vi.fn()
    const notifiers = [webhook({ url, secret: 'key' })]
    const app = await start([sync], { notifiers, onFailure: ofApp })
    const run = await app.run(sync, { wait: true }).catch(() => {})
    expect(run).toBeUndefined()
    await eventually(() => expect([notices.length, received.length, ofApp.mock.calls.length]).toEqual([1, 1, 1]))
    const [failed] = await app.runs.list({ state: 'failed' })
    const told = { kind: 'failure', jobCount: 1, count: 1 }
    expect(notices[0]).toMatchObject({ ...told, jobs: [{ jobId: 'sync', problem: 'failure', runId: failed?.id }] })
    expect(notices[0]?.jobs[0]?.error).toMatch(/^Error: no shop/)
    expect(JSON.stringify(notices)).not.toContain('hunter2')
    const [{ headers, text, json } = { headers: {}, text: '', json: undefined }] = received
    expect(json).toMatchObject({
      ...told,
      title: '1 run of sync failed',
      text: expect.stringContaining('no shop') as string,
    })
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${text}`
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', 'key').update(signed).digest('base64')}`)
    isBroken = false
    await app.run(sync, { wait: true })
    await eventually(() => expect([notices.length, received.length]).toEqual([2, 2]))
    expect(notices[1]).toMatchObject({
      kind: 'recovered',
      jobs: [{ jobId: 'sync', recoveredAt: expect.any(Date) as Date }],
    })
  })

  it('says nothing about a retry that will come, and one thing about a burst', async () => {
    const notices: Notice[] = []
    const sync = defineJob({ id: 'sync', retry: { limit: 1, base: '20ms' } }, () => {
      throw new Error('no')
    })
    const app = await start([sync], {
      onFailure: (notice) => notices.push(notice),
      settings: { notify: { quiet: '600ms' } },
    })
    const retried: { readonly state: string; readonly at: number }[] = []
    app.events.on('run.settled', ({ state }) => retried.push({ state, at: performance.now() }))
    await app.enqueueMany(
      sync,
      Array.from({ length: 500 }, () => ({})),
    )
    await eventually(async () => expect(await app.notify.alerts()).toMatchObject([{ jobId: 'sync', count: 500 }]))
    await eventually(() => expect(notices).toHaveLength(1))
    expect(retried.filter(({ state }) => state === 'queued')).toHaveLength(500)
    // All of them, unless the machine is so slow that nothing fails for the quiet time. What fails later is not told again.
    const [{ jobCount, count } = { jobCount: 0, count: 0 }] = notices
    const failed = retried.filter(({ state }) => state === 'failed')
    const gaps = failed.slice(1).map(({ at }, index) => at - (failed[index]?.at ?? 0))
    expect([jobCount, Math.max(...gaps) < 500 ? count : 500]).toEqual([1, 500])
  })

  it('tells once that data is late, and that it is complete', async () => {
    const notices: Notice[] = []
    const hook = (notice: Notice): number => notices.push(notice)
    let isBroken = true
    const daily = defineJob(
      {
        ...{ id: 'daily', cron: '0 0 * * *', deadline: '2h', onLate: hook, onRecovered: hook },
        windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-03T00:00:00Z' },
      },
      () => {
        if (isBroken) throw new Error('no')
      },
    )
    const app = await start([daily])
    await eventually(() => expect(notices).toHaveLength(1))
    const span = { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-03T00:00:00Z') }
    expect(notices[0]).toMatchObject({ kind: 'late', jobs: [{ jobId: 'daily', problem: 'late' }] })
    await eventually(async () => expect((await app.windows.summary('daily')).counts.failed).toBe(2))
    // The first look may have met a window while it ran, which is not late.
    await eventually(async () => {
      const late = (await app.notify.alerts()).filter(({ problem }) => problem === 'late')
      expect(late).toMatchObject([{ window: span }])
    })
    isBroken = false
    await app.windows.rerun('daily', { from: span.start, to: span.end })
    // The failures of the windows are over as well, in the same message or in one of their own.
    await eventually(() => {
      const over = notices.filter(({ kind }) => kind === 'recovered').flatMap(({ jobs }) => jobs)
      expect(over.filter(({ problem }) => problem === 'late')).toMatchObject([{ window: span }])
    })
  })

  it('tells that a job without windows is late once the run of its last tick has not succeeded in time', async () => {
    const notices: Notice[] = []
    const hook = (notice: Notice): number => notices.push(notice)
    let isBroken = true
    const report = defineJob({ id: 'report', every: '500ms', deadline: '1s', onLate: hook, onRecovered: hook }, () => {
      if (isBroken) throw new Error('no')
    })
    await start([report])
    const tick = expect.any(Date) as Date
    await eventually(() =>
      expect(notices).toMatchObject([{ kind: 'late', jobs: [{ jobId: 'report', problem: 'late', count: 1, tick }] }]),
    )
    expect(notices[0]?.jobs[0]).not.toHaveProperty('window')
    isBroken = false
    await eventually(() => {
      const over = notices.filter(({ kind }) => kind === 'recovered').flatMap(({ jobs }) => jobs)
      expect(over.filter(({ problem }) => problem === 'late')).toMatchObject([{ jobId: 'report', tick }])
    })
  })

  it('repeats a call that failed', async () => {
    const { url, received } = await hookReceiver(500)
    const sync = defineJob({ id: 'sync' }, () => {
      throw new Error('no')
    })
    const app = await start([sync], { notifiers: [webhook({ url })] })
    const failures = recordEvents(app, 'notice.failed')
    await app.enqueue(sync)
    await eventually(() => expect(received).toHaveLength(2))
    expect(received[0]?.headers['webhook-id']).toBe(received[1]?.headers['webhook-id'])
    expect(failures).toMatchObject([{ channel: 'notifier:webhook', tries: 1, retryInMs: 5_000 }])
    expect(failures[0]?.error.message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ answered 500: thanks$/)
  })
})
