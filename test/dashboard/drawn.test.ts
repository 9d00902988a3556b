import { expect, it } from 'vitest'
import { histogram, quantile, trend } from '../../src/dashboard/job/durations.ts'
import { layout } from '../../src/dashboard/job/graph-layout.ts'
import { draftOf, scheduleFlags, scheduleOf } from '../../src/dashboard/job/schedule-draft.ts'
import { spansOf } from '../../src/dashboard/run/spans.ts'
import { NO_NODE, rowsOf, type TimelineRun } from '../../src/dashboard/timeline/rows.ts'
import { marksOf, nextSpan } from '../../src/dashboard/timeline/scale.ts'

const AT = Date.parse('2026-01-01T12:00:00.000Z')
const at = (seconds: number): string => new Date(AT + seconds * 1_000).toISOString()

it('a job stands to the right of all jobs that it depends on, and a circle ends', () => {
  const edges = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'd' },
    { from: 'a', to: 'd' },
    { from: 'c', to: 'd' },
  ]
  const spots = layout(['d', 'b', 'a', 'c'], edges)
  expect(Object.fromEntries(spots.map(({ id, column }) => [id, column]))).toEqual({ a: 0, c: 0, b: 1, d: 2 })
  // No two jobs stand in the same place.
  expect(new Set(spots.map(({ column, row }) => `${column} ${row}`)).size).toBe(4)
  const circle = layout(
    ['x', 'y'],
    [
      { from: 'x', to: 'y' },
      { from: 'y', to: 'x' },
    ],
  )
  expect(circle).toHaveLength(2)
})

it('a histogram counts each duration once, also if all are equal or differ by a thousand times', () => {
  for (const durations of [[5], [7, 7, 7], [1, 2, 3, 4], [1, 10, 100, 60_000], [0, 0, 90_000]]) {
    const bins = histogram(durations)
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(durations.length)
    expect(bins.every(({ from, to }) => from < to)).toBe(true)
  }
  expect(histogram([])).toEqual([])
  expect([quantile([3, 1, 2], 0.5), quantile([1, 2, 3, 4], 1)]).toEqual([2, 4])
  expect(trend([1, 1, 9, 9], 2)).toEqual([1, 9])
})

it('a schedule is the same after it was put into the editor and back', () => {
  const schedules = [
    { kind: 'cron', cron: '0 6 * * 1-5', timezone: 'Europe/Rome' },
    {
      kind: 'cron',
      cron: ['0 6 * * *', '0 18 * * *'],
      timezone: 'UTC',
      dst: { gap: 'skip' },
      exclude: { days: ['2026-01-06'] },
    },
    { kind: 'every', everyMs: 5_400_000, anchor: '2026-01-01T00:00:00.000Z' },
    { kind: 'at', at: '2026-01-31T06:00:00Z' },
    null,
  ]
  for (const schedule of schedules) expect(scheduleOf(draftOf(schedule), schedule, null)).toEqual({ schedule })
  expect(draftOf(schedules[2]).every).toBe('90m')
  const every = { ...draftOf(null), kind: 'every', every: '1h30m' } as const
  expect(scheduleOf(every, null, { start: '2026-01-01' })).toEqual({
    schedule: { kind: 'every', everyMs: 5_400_000, anchor: '2026-01-01' },
  })
  for (const wrong of ['', '10', '10 m', 'soon', '0s'])
    expect(scheduleOf({ ...every, every: wrong }, null, null)).toHaveProperty('problem')
  // A calendar has no option of its own.
  const [, second, third] = schedules
  expect(scheduleFlags(second ?? null, null)).toEqual(['--schedule', JSON.stringify(second)])
  const plain = { kind: 'cron', cron: second?.cron, timezone: 'UTC', dst: { gap: 'skip' }, end: '2027-01-01T00:00:00Z' }
  const times = ['--cron', '0 6 * * *', '--cron', '0 18 * * *', '--timezone', 'UTC']
  expect(scheduleFlags(plain, null)).toEqual([...times, '--dst-gap', 'skip', '--end', '2027-01-01T00:00:00Z'])
  expect(scheduleFlags({ kind: 'every', everyMs: 5_400_000, anchor: '1970-01-01T00:00:00.000Z' }, null)).toEqual([
    ...['--every', '90m'],
  ])
  expect(scheduleFlags(third ?? null, null)).toEqual(['--schedule', JSON.stringify(third)])
  expect(scheduleFlags(null, null)).toEqual(['--none'])
})

const RUN = {
  kind: 'scheduled',
  ...{ id: 1, jobId: 'a', priority: 0, attempt: 2, fence: 2, spilled: [], deadRows: 0 },
  ...{ tick: at(0), createdAt: at(1), runAt: at(1), startedAt: at(10), finishedAt: at(20), nodeId: 'n' },
} as const

it('the parts of a run follow each other without a hole, with the steps in their attempt', () => {
  const spans = spansOf(
    {
      ...RUN,
      state: 'succeeded',
      attempts: [
        { attempt: 1, fence: 1, outcome: 'failed', startedAt: at(3), finishedAt: at(5), phases: [] },
        {
          ...{ attempt: 2, fence: 2, outcome: 'succeeded', startedAt: at(10), finishedAt: at(20) },
          phases: [
            { name: 'queued', from: at(5), to: at(10) },
            { name: 'claimed', from: at(10), to: at(10) },
            { name: 'resources', from: at(10), to: at(11) },
            { name: 'handler', from: at(11), to: at(17) },
            { name: 'sinks', from: at(17), to: at(19) },
            { name: 'committed', from: at(19), to: at(20) },
          ],
        },
      ],
      steps: [{ name: 'load', attempt: 2, tries: 1, ms: 4_000, finishedAt: at(15) }],
    },
    AT,
  )
  expect(spans.map(({ name, from, to }) => [name, (from - AT) / 1_000, (to - AT) / 1_000])).toEqual([
    ['tick, not stored yet', 0, 1],
    ['queued', 1, 3],
    ['attempt 1', 3, 5],
    ['waited for the next attempt', 5, 10],
    ['attempt 2', 10, 20],
    ['waited for resources', 10, 11],
    ['handler', 11, 17],
    ['sinks flushed', 17, 19],
    ['committed', 19, 20],
    ['step load', 11, 15],
  ])
  const waiting = spansOf(
    { ...RUN, state: 'queued', attempts: [], steps: [], startedAt: undefined, finishedAt: undefined },
    AT + 9_000,
  )
  expect(waiting.at(-1)).toMatchObject({ name: 'queued', to: AT + 9_000 })
})

it('bars that overlap stand in lanes below each other, and a run that catches up is not years late', () => {
  const run = (id: number, from: number, to: number, nodeId?: string): TimelineRun => ({
    ...{ id, jobId: 'a', state: 'succeeded', kind: 'scheduled', attempt: 1, nodeId },
    ...{
      tick: '2012-01-01T00:00:00.000Z',
      createdAt: at(from),
      runAt: at(from),
      startedAt: at(from),
      finishedAt: at(to),
    },
  })
  const waited = { ...run(4, 0, 4), beganAt: at(1) }
  expect(rowsOf([waited], 'job', AT)[0]?.lanes[0]?.[0]?.begun).toBe(AT + 1_000)
  const [row] = rowsOf([run(3, 6, 9), run(2, 3, 5), run(1, 0, 4)], 'job', AT)
  expect(row?.lanes.map((lane) => lane.map((bar) => bar.run.id))).toEqual([[1, 3], [2]])
  expect(row?.lanes[0]?.[0]?.asked).toBe(AT)
  expect(rowsOf([run(1, 0, 1, 'n1'), run(2, 0, 1)], 'node', AT).map(({ name }) => name)).toEqual(['n1', NO_NODE])
})

it('marks stand on whole units, and zoom ends at a minute and at a month', () => {
  const { stepMs, marks } = marksOf(AT + 1, AT + 3_600_000, 1_000)
  expect(stepMs).toBe(900_000)
  expect(marks.every((mark) => mark % stepMs === 0)).toBe(true)
  expect([nextSpan(60_000, -1), nextSpan(3_600_000, 1), nextSpan(30 * 86_400_000, 1)]).toEqual([
    60_000, 21_600_000, 2_592_000_000,
  ])
})
