import { expect, it } from 'vitest'
import type { Alert } from '../../src/notice/alert.ts'
import { type Channel, messagesOf } from '../../src/notice/channels.ts'

const now = new Date('2026-01-01T00:00:00Z')
const alert = (jobId: string, count = 1): Alert => ({
  ...{ jobId, problem: 'failure', count, openedAt: now, lastAt: now, runId: 7, error: 'Error: no' },
  ...{ window: undefined, tick: undefined, toldAt: undefined, recoveredAt: undefined },
})
const APP: Channel = { name: 'app', on: ['failure'] }
const OPS: Channel = { name: 'notifier:ops', on: ['failure', 'late'], jobs: ['orders_*'] }

it('sends one message to each channel, and one to the hooks of each job', () => {
  const due = [{ kind: 'failure' as const, alerts: [alert('orders_eu', 3), alert('fetch')] }]
  const messages = messagesOf(due, [APP, OPS], (jobId) => (jobId === 'fetch' ? ['failure'] : ['late']), now)
  expect(
    messages.map(({ channel, body: { jobCount, count } }) => `${channel} ${jobCount} ${count}`).toSorted(),
  ).toEqual(['app 2 4', 'job:fetch 1 1', 'notifier:ops 1 3'])
})

it('lists at most 50 jobs, and counts all', () => {
  const alerts = Array.from({ length: 120 }, (_, index) => alert(`job_${index}`, 2))
  const [message] = messagesOf([{ kind: 'failure', alerts }], [APP], () => [], now)
  expect(message?.body).toMatchObject({ jobCount: 120, count: 240 })
  expect(message?.body.jobs).toHaveLength(50)
})

it('sends nothing to a channel that does not want the kind', () => {
  expect(messagesOf([{ kind: 'recovered', alerts: [alert('a')] }], [APP, OPS], () => ['failure'], now)).toEqual([])
})
