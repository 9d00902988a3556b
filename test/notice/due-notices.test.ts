import { describe, expect, it } from 'vitest'
import { type Alert, type Failures, withFailures } from '../../src/notice/alert.ts'
import { dueNotices, type NoticePolicy } from '../../src/notice/due-notices.ts'

const T0 = Date.UTC(2026, 0, 1)
const at = (seconds: number): Date => new Date(T0 + seconds * 1_000)
const POLICY: NoticePolicy = { quietMs: 10_000, maxWaitMs: 120_000, intervalMs: 60_000, repeatMs: 14_400_000 }

const failing = (more: Partial<Alert> = {}): Alert => ({
  ...{ jobId: 'sync', problem: 'failure', count: 1, openedAt: at(0), lastAt: at(0) },
  ...{ runId: 1, error: 'Error: no', window: undefined, tick: undefined, toldAt: undefined, recoveredAt: undefined },
  ...more,
})
const failed = (seconds: number, more: Partial<Failures> = {}): Failures => ({
  ...{ jobId: 'sync', count: 1, at: at(seconds), runId: seconds, error: `Error: ${seconds}`, window: undefined },
  ...more,
})
const kinds = (alerts: readonly Alert[], seconds: number, last = {}): string[] =>
  dueNotices(alerts, last, at(seconds), POLICY).due.map(({ kind, alerts: some }) => `${kind} ${some.length}`)

describe('dueNotices', () => {
  it('tells of a failure once nothing has failed for a while', () => {
    expect(kinds([failing()], 9)).toEqual([])
    expect(dueNotices([failing()], {}, at(9), POLICY).nextAt).toEqual(at(10))
    expect(kinds([failing()], 10)).toEqual(['failure 1'])
  })

  it('waits while failures go on, but not longer than the longest wait', () => {
    const goingOn = failing({ lastAt: at(115) })
    expect(kinds([goingOn], 119)).toEqual([])
    expect(kinds([goingOn], 120)).toEqual(['failure 1'])
  })

  it('merges the jobs that fail in one burst, those with the most failures first', () => {
    const { due } = dueNotices([failing(), failing({ jobId: 'b', count: 5, lastAt: at(4) })], {}, at(14), POLICY)
    expect(due.map(({ alerts }) => alerts.map(({ jobId }) => jobId))).toEqual([['b', 'sync']])
  })

  it('leaves the interval between two notices of one kind, and none between kinds', () => {
    const last = { failure: at(-20) }
    expect(kinds([failing(), failing({ problem: 'late' })], 10, last)).toEqual(['late 1'])
    expect(kinds([failing()], 40, last)).toEqual(['failure 1'])
  })

  it('says nothing more while a problem only continues, and repeats one that gets worse', () => {
    const told = failing({ toldAt: at(10) })
    expect(dueNotices([told], {}, at(100_000), POLICY)).toEqual({ due: [], nextAt: undefined })
    const worse = failing({ toldAt: at(10), lastAt: at(50) })
    expect(kinds([worse], 14_410)).toEqual([])
    expect(kinds([worse], 14_420)).toEqual(['failure 1'])
    expect(dueNotices([worse], {}, at(99_999), { ...POLICY, repeatMs: 0 }).due).toEqual([])
  })

  it('tells of a recovery only after the problem', () => {
    expect(kinds([failing({ recoveredAt: at(5) })], 20)).toEqual(['failure 1'])
    expect(kinds([failing({ toldAt: at(10), recoveredAt: at(30) })], 39)).toEqual([])
    expect(kinds([failing({ toldAt: at(10), recoveredAt: at(30) })], 40)).toEqual(['recovered 1'])
  })
})

describe('withFailures', () => {
  it('sums failures and keeps the newest error, whatever the order in which they arrive', () => {
    const one = withFailures(undefined, [failed(5), failed(9, { count: 3 }), failed(2)])
    expect(one).toMatchObject({ count: 5, openedAt: at(2), lastAt: at(9), runId: 9, error: 'Error: 9' })
  })

  it('spans all failed windows', () => {
    const window = (from: number, to: number) => ({ start: at(from), end: at(to) })
    const one = withFailures(undefined, [
      failed(1, { window: window(100, 200) }),
      failed(2, { window: window(0, 50) }),
      failed(3),
    ])
    expect(one?.window).toEqual(window(0, 200))
  })

  it('makes a recovered job fail again', () => {
    expect(withFailures(failing({ toldAt: at(1), recoveredAt: at(2) }), [failed(3)])).toMatchObject({
      ...{ count: 2, toldAt: at(1), recoveredAt: undefined },
    })
  })
})
