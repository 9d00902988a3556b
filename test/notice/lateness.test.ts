import { expect, it } from 'vitest'
import type { Alert } from '../../src/notice/alert.ts'
import { lateChanges } from '../../src/notice/lateness.ts'

const T0 = Date.UTC(2026, 0, 1)
const at = (hours: number): Date => new Date(T0 + hours * 3_600_000)
const late = (from: number, to: number, count = 1) => ({
  jobId: 'sync',
  late: { window: { start: at(from), end: at(to) }, count },
})
const onTime = { jobId: 'sync', late: undefined }
const told = (alert: Alert | undefined, hours: number): Alert => ({ ...(alert as Alert), toldAt: at(hours) })

it('opens, continues and ends the alert of a late job', () => {
  const [opened] = lateChanges([], [late(0, 1)], at(3)).written
  expect(opened).toMatchObject({ problem: 'late', openedAt: at(3), lastAt: at(3), window: late(0, 1).late.window })
  const known = told(opened, 3)
  expect(lateChanges([known], [late(0, 1)], at(4)).written).toEqual([])
  expect(lateChanges([known], [late(0, 2, 2)], at(4)).written).toMatchObject([{ count: 2, lastAt: at(4) }])
  expect(lateChanges([known], [onTime], at(5)).written).toMatchObject([{ recoveredAt: at(5) }])
})

it('keeps the windows that people were told of until the last one is complete', () => {
  const [opened] = lateChanges([], [late(0, 3, 3)], at(3)).written
  // Nobody knows of it yet: the notice will name what is late then.
  expect(lateChanges([opened as Alert], [late(1, 3, 2)], at(4)).written).toMatchObject([
    { window: late(1, 3).late.window },
  ])
  const known = told(opened, 3)
  expect(lateChanges([known], [late(2, 3)], at(4)).written).toEqual([])
  expect(lateChanges([known], [onTime], at(5)).written).toMatchObject([{ window: late(0, 3).late.window, count: 3 }])
  const [worse] = lateChanges([known], [late(2, 5, 3)], at(5)).written
  expect(worse).toMatchObject({ window: late(0, 5).late.window, count: 3, lastAt: at(5) })
  const [older] = lateChanges([known], [late(-2, -1)], at(5)).written
  expect(older).toMatchObject({ window: late(-2, 3).late.window, count: 3, lastAt: at(3) })
})

it('names the last late tick of a job without windows', () => {
  const missed = (hours: number) => ({ jobId: 'sync', late: { tick: at(hours), count: 1 } })
  const [opened] = lateChanges([], [missed(0)], at(3)).written
  expect(opened).toMatchObject({ problem: 'late', tick: at(0), window: undefined, count: 1 })
  const known = told(opened, 3)
  expect(lateChanges([known], [missed(0)], at(4)).written).toEqual([])
  expect(lateChanges([known], [missed(1)], at(4)).written).toMatchObject([{ tick: at(1), count: 1, lastAt: at(4) }])
  expect(lateChanges([known], [onTime], at(5)).written).toMatchObject([{ tick: at(0), recoveredAt: at(5) }])
})

it('keeps the alert of which nobody was told', () => {
  const { written } = lateChanges([], [late(0, 1)], at(3))
  expect(lateChanges(written, [onTime], at(4)).written).toEqual([])
})

it('reopens an alert that has recovered and is late again', () => {
  const [opened] = lateChanges([], [late(0, 1)], at(3)).written
  const recovered = { ...told(opened, 3), recoveredAt: at(4) }
  expect(lateChanges([recovered], [late(2, 3)], at(5)).written).toMatchObject([
    { recoveredAt: undefined, lastAt: at(5) },
  ])
})

it('drops the alert of a job without a deadline', () => {
  const { written } = lateChanges([], [late(0, 1)], at(3))
  expect(lateChanges(written, [], at(4)).dropped).toEqual(['sync'])
})
