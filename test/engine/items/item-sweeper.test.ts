import { expect, it } from 'vitest'
import { ItemRuns } from '../../../src/engine/items/item-runs.ts'
import { ItemSweeper, type ItemSweeperParts } from '../../../src/engine/items/item-sweeper.ts'
import type { ItemProgress } from '../../../src/engine/items/measures/item-progress.ts'
import type { LaneSpeeds } from '../../../src/engine/items/measures/lane-speeds.ts'
import type { LoopPressure } from '../../../src/engine/items/measures/loop-pressure.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Events } from '../../../src/events.ts'
import type { ItemRunInfo } from '../../../src/store/items/item-runs.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

const RUNNING: Omit<ItemRunInfo, 'fence'> = {
  ...{ run: { id: 7, job_id: 'sync' } as ItemRunInfo['run'], state: 'running', isCancelled: false, begunMs: 0 },
}

it('counts a generation as stopped if its run no longer exists, but not if it was not read', async () => {
  const runs = new ItemRuns({ infos: async () => [{ ...RUNNING, fence: 1 }] }, () => 0)
  expect(runs.isStopped(2)).toBe(false)
  await runs.load([1, 2])
  expect([runs.isStopped(1), runs.isStopped(2)]).toEqual([false, true])
})

it('still knows the run of an item that is claimed while it looks at the others', async () => {
  const clock = new ManualClock()
  const runs = new ItemRuns({ infos: async (read) => read.map((fence) => ({ ...RUNNING, fence })) }, () =>
    clock.monotonic(),
  )
  const held = [1]
  const looked = Promise.withResolvers<void>()
  const parts: Partial<ItemSweeperParts> = {
    progress: {
      tell: async () => {
        held.push(2)
        await runs.load([2])
        looked.resolve()
      },
    } as Partial<ItemProgress> as ItemProgress,
    pressure: { look: () => undefined, isLate: false } as Partial<LoopPressure> as LoopPressure,
    speeds: { store: async () => undefined } as Partial<LaneSpeeds> as LaneSpeeds,
    store: {
      sweep: async () => ({ recovered: 0, dead: [], cancelled: 0, isMore: false, checkedLane: 0, checkedFence: 0 }),
      openLanes: async () => new Map<string, number>(),
    } as Partial<ItemSweeperParts['store']> as ItemSweeperParts['store'],
    runner: {
      ...{ held: new Set<number>(), runs, stopEnded: () => undefined },
      get fences() {
        return new Set(held)
      },
    },
    ...{ nodeId: () => 'node', leaseMs: 30_000, lostAttempts: 10, onQueued: () => undefined },
    ...{ clock, events: new Events(), loops: new LoopHealth({ events: new Events(), clock }) },
  }
  const sweeper = new ItemSweeper(parts as ItemSweeperParts)
  await sweeper.start()
  await looked.promise
  await sweeper.stop()
  expect(held.map((fence) => runs.get(fence)?.fence)).toEqual([1, 2])
})
