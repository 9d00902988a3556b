import { mock } from 'node:test'
import { defineJob } from 'piko'
import { ManualClock, runJob, simulate, startTestApp } from 'piko/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { rejected } from '../support/thrown.ts'

const order = defineJob({ id: 'order', cron: '0 6 * * *' }, () => new Date().toISOString())
const REFUSED =
  /has replaced .*setTimeout.* with fake timers, .* vi\.useFakeTimers\(\{ toFake: \['Date'\] \}\) .* ManualClock/

it('a test app names fake timers instead of waiting forever, whoever has created them and whenever', async () => {
  await using app = await startTestApp({ jobs: order, clock: new ManualClock() })
  onTestFinished(() => void vi.useRealTimers())
  vi.useFakeTimers()
  const error = await rejected(startTestApp({ jobs: order }))
  expect(error).toMatchObject({ code: 'USAGE' })
  expect(error.message).toMatch(REFUSED)
  await expect(app.advance('1d')).rejects.toThrow(REFUSED)
  await expect(app.drain()).rejects.toThrow(REFUSED)
  vi.useRealTimers()
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    await expect(startTestApp({ jobs: order })).rejects.toThrow(REFUSED)
  } finally {
    mock.timers.reset()
  }
})

it('a fake date does no harm, and parts without an app need no timers', async () => {
  onTestFinished(() => void vi.useRealTimers())
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2031-02-03T00:00:00Z') })
  await using app = await startTestApp({ jobs: order, clock: new ManualClock('2026-01-01T00:00:00Z') })
  await app.advance('1d')
  const [run] = await app.runs.list()
  expect([run?.runAt.toISOString(), run?.output]).toEqual(['2026-01-01T06:00:00.000Z', '2031-02-03T00:00:00.000Z'])
  vi.useFakeTimers({ now: Date.parse('2031-02-03T00:00:00Z') })
  expect((await runJob(order)).output).toBe('2031-02-03T00:00:00.000Z')
  expect(simulate(order, { from: '2026-01-01', to: '2026-01-03' }).ticks).toHaveLength(2)
  vi.useRealTimers()
})
