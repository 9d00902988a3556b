import { describe, expect, it } from 'vitest'
import { type Pace, paceAfter, progressOf, progressText, rateOf, type StoredProgress } from '../../src/run/progress.ts'

const paceOf = (...reports: readonly (readonly [done: number, atMs: number])[]): Pace =>
  reports.reduce<Pace | undefined>((pace, [done, atMs]) => paceAfter(pace, done, atMs), undefined) as Pace

describe('the rate of a run', () => {
  it('is unknown after one report, and the same whether reports are rare or frequent', () => {
    expect(rateOf(paceOf([7, 0]))).toBeUndefined()
    expect(rateOf(paceOf([0, 0], [1_000, 1_000]))).toBeCloseTo(1_000)
    const often = Array.from({ length: 10_001 }, (_, index) => [index, index] as const)
    expect(rateOf(paceOf(...often))).toBeCloseTo(1_000)
    expect(rateOf(paceOf([0, 0], [5_000, 1], [10_000, 2]))).toBeUndefined()
  })

  it('follows a change of the speed within a minute, and not one short pause', () => {
    const steady = Array.from({ length: 61 }, (_, second) => [second * 100, second * 1_000] as const)
    const before = paceOf(...steady)
    const paused = rateOf(paceAfter(before, 6_000, 62_000)) as number
    expect(paused).toBeGreaterThan(80)
    let pace = before
    for (let second = 1; second <= 60; second++) pace = paceAfter(pace, 6_000 + second * 10, 60_000 + second * 1_000)
    expect(rateOf(pace)).toBeGreaterThan(10)
    expect(rateOf(pace)).toBeLessThan(20)
  })

  it('begins anew when the count falls', () => {
    const pace = paceAfter(paceOf([0, 0], [100, 1_000]), 0, 2_000)
    expect(rateOf(pace)).toBeUndefined()
    expect(rateOf(paceAfter(pace, 10, 3_000))).toBeCloseTo(10)
  })
})

describe('the progress of a run', () => {
  const stored: StoredProgress = {
    ...{ runId: 7, fence: 70, attempt: 1, done: 12_000, total: 50_000, message: undefined, rate: 1_150, ageMs: 0 },
    updatedAt: new Date(0),
  }
  const shown = (more: Partial<StoredProgress> = {}, state = 'running') =>
    progressOf({ fence: 70, state }, { ...stored, ...more })

  it('has an estimated end while it runs', () => {
    expect(progressText(shown()!)).toBe('12,000 of 50,000 (24 %), 1,150/s, 33 s left')
    expect(shown({ ageMs: 1_000 })?.etaMs).toBe(Math.round((38_000 / 1_150) * 1_000) - 1_000)
    expect(progressText(shown({}, 'failed')!)).toBe('12,000 of 50,000 (24 %), 1,150/s')
    expect(progressText(shown({ total: undefined, rate: undefined })!)).toBe('12,000 done')
    expect(progressText(shown({ done: 60_000 })!)).toBe('60,000 of 50,000 (100 %), 1,150/s, 0 s left')
    expect(progressText(shown({ done: 0.25, total: 1, rate: 0.001 })!)).toBe('0.25 of 1 (25 %), 0.001/s, 12m 30s left')
    expect(progressText(shown({ done: 0, total: 0, rate: 0 })!)).toBe('0 of 0, 0/s')
    expect(progressText(shown({ done: 1e308, total: 1.7e308, rate: 1e-300 })!)).toBe(
      '1.00e+308 of 1.70e+308 (58 %), 0/s',
    )
  })

  it('trusts no rate when reports stay away, unless they are rare anyway', () => {
    expect(shown({ ageMs: 31_000 })).toMatchObject({ ratePerSecond: undefined, etaMs: undefined })
    expect(shown({ done: 36, total: 40, rate: 1 / 60, ageMs: 61_000 })?.etaMs).toBe(179_000)
  })

  it('is not that of an earlier claim', () => {
    expect(progressOf({ fence: 71, state: 'running' }, stored)).toBeUndefined()
    expect(progressOf({ fence: 70, state: 'queued' }, undefined)).toBeUndefined()
  })
})
