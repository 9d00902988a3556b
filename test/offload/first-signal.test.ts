import { setImmediate as turn } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'

it('gives a signal to the run whose handler is the first to want one, to later runs, and to nobody else', async () => {
  // Another instance of the module: in this process, a run may have wanted signals already.
  vi.resetModules()
  const { callSignal, currentScope, wantRunSignals, withRunSignal } = await import('../../src/offload/signal.ts')
  const signals = [1, 2, 3].map(() => new AbortController().signal)
  const [earlier, first, later] = signals.map((signal, index) => ({ signal, jobId: `job ${index}` }))
  const ends: string[] = []

  const early = withRunSignal(earlier!, async () => {
    await turn()
    return callSignal(undefined)
  })
  const seen = withRunSignal(first!, async () => {
    wantRunSignals()
    currentScope()?.atEnd(() => ends.push('first'))
    const now = callSignal(undefined)
    await turn()
    return [now, callSignal(undefined), currentScope()?.run.jobId]
  })
  expect(callSignal(undefined)).toBeUndefined()
  expect(ends).toEqual([])
  const next = withRunSignal(later!, () => callSignal(undefined))

  expect(await seen).toEqual([signals[1], signals[1], 'job 1'])
  expect(ends).toEqual(['first'])
  expect(next).toBe(signals[2])
  expect(await early).toBeUndefined()
  expect(callSignal(undefined)).toBeUndefined()
})
