import { expect, it, onTestFinished } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { PrepareRun } from '../../../src/engine/prepare-run.ts'
import { Leader } from '../../../src/engine/node/leader.ts'
import { OwnPlans } from '../../../src/engine/planning/own-plans.ts'
import { Planner } from '../../../src/engine/planning/planner.ts'
import { Registration } from '../../../src/engine/planning/registration.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import { storeOn } from '../../../src/store/store.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import type { Agenda, PlanScope } from '../../../src/store/jobs/plan.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const POLL_MS = 1_000

describeEachStore((fixture) => {
  it.each([0, 137, 333, 500, 667, 800, 999])(
    'plans a tick most of a poll interval ahead, and not earlier, if started %i ms after a second',
    async (offset) => {
      const clock = new ManualClock(`2026-01-01T00:00:${50 + offset / 1_000}Z`)
      const database = await fixture.open({ clock })
      await fixture.empty()
      const store = storeOn(database)
      const events = new Events()
      const loops = new LoopHealth({ clock, events })
      const registry = JobRegistry.of(defineJob({ id: 'tick', cron: '* * * * *' }, () => {}))
      const leader = new Leader({ locks: store.locks, nodeId: NODE, leaseMs: 60_000, clock, events, loops })
      const own = new OwnPlans()
      const planned: number[] = []
      let looks = 0
      const agenda = (scope?: PlanScope): Promise<Agenda> => {
        looks += 1
        return store.plans.agenda(scope)
      }
      const planner = new Planner({
        ...{ plans: store.plans, agenda, registry, leader, own, clock, events, loops },
        ...{ cancels: store.cancels, prepare: new PrepareRun(() => undefined) },
        pollIntervalMs: POLL_MS,
        onPlanned: (runAts) => void planned.push(...runAts.map((runAt) => runAt.getTime() - clock.now())),
      })
      onTestFinished(async () => {
        await planner.stop()
        await leader.stop()
      })
      await new Registration({ jobs: store.jobs, registry, agenda, own, clock, loops }).start()
      await leader.start()
      await planner.start()
      // Both loops sleep again.
      const pass = async (ms: number): Promise<void> => {
        await eventually(() => expect(clock.sleeping).toBe(2))
        clock.advance(ms)
      }
      for (let ms = 0; ms < 10_000; ms += 20) await pass(20)
      await pass(0)
      expect(planned).toHaveLength(1)
      expect(planned[0]).toBeGreaterThanOrEqual((POLL_MS * 3) / 4 - 20)
      expect(planned[0]).toBeLessThanOrEqual(POLL_MS)
      expect(looks).toBeLessThan(20)
    },
  )
})
