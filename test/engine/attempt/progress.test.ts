import { sql } from 'kysely'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import type { LiveAttempt } from '../../../src/engine/attempt/live-attempt.ts'
import { RunProgress } from '../../../src/engine/attempt/run-progress.ts'
import type { RunWatch } from '../../../src/engine/fleet/run-watch.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Events } from '../../../src/events.ts'
import type { JobContext } from '../../../src/job/context.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Claim } from '../../../src/run/run.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import type { NewProgress, ProgressStore } from '../../../src/store/history/progress-store.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { refuseRows } from '../../support/refusing.ts'
import { sqliteStatementsDuring } from '../../support/sqlite-statements.ts'

const NODE = '00000000-0000-4000-8000-000000000001'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  describe('the progress of a run', () => {
    it('is shown while it runs and after its end, begins anew with each attempt, and a replay forgets it', async () => {
      const gates = [new Gate(), new Gate()]
      const handler = async (ctx: JobContext): Promise<void> => {
        if (ctx.attempt === 1) ctx.progress(12_000, 50_000, 'password=hunter2 page 7')
        await gates[ctx.attempt - 1]?.pass()
        if (ctx.attempt === 1) throw new Error('no')
        ctx.progress(1)
        ctx.progress(2, 8)
      }
      const app = await startApp(fixture.options, defineJob({ id: 'work', retry: { limit: 1, base: '1ms' } }, handler))
      // Another process reads what the node has stored.
      const other = await startApp(fixture.options, [], { execute: false })
      const id = await app.enqueue('work')
      const first = await eventually(async () => {
        const { progress } = await other.runs.show(id)
        expect(progress).toBeDefined()
        return progress
      })
      expect(first).toEqual({
        ...{ attempt: 1, done: 12_000, total: 50_000, message: 'password=[redacted] page 7' },
        ...{ ratePerSecond: undefined, etaMs: undefined, updatedAt: expect.any(Date) as Date },
      })
      gates[0]?.open()
      await eventually(async () => {
        const run = await other.runs.show(id)
        expect([run.state, run.attempt, run.progress]).toEqual(['running', 2, undefined])
      })
      gates[1]?.open()
      await app.waitFor(id)
      // The node that executes a run knows its last report immediately.
      const { progress } = await app.runs.show(id)
      expect(progress).toMatchObject({ attempt: 2, done: 2, total: 8, message: undefined, etaMs: undefined })
      expect((await other.runs.list())[0]).toMatchObject({ id, progress: { done: 2, total: 8 } })
      await database.db.updateTable('piko_run').set({ state: 'failed' }).where('id', '=', id).execute()
      await app.stop()
      await other.runs.replay(id)
      expect((await other.runs.show(id)).progress).toBeUndefined()
    })

    it('leaves wrong reports out, with one warning in the log of the run', async () => {
      const wrong: readonly unknown[][] = [[NaN], [-1], [Infinity], ['7'], [1, NaN], [1, -1], [1, 2, 3], [5n]]
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'work' }, (ctx) => {
          const any = ctx as unknown as { progress: (...args: unknown[]) => void }
          const report = (...args: unknown[]): void => any.progress(...args)
          for (const args of wrong) report(...args)
          report(3, null, `${'x'.repeat(700)}\ud83d`)
          for (const args of wrong) report(...args)
        }),
      )
      const events = recordEvents(app, 'run.progress')
      const { id } = await app.run('work', { wait: true })
      expect(events).toHaveLength(1)
      const { progress } = await app.runs.show(id)
      expect(progress).toMatchObject({ done: 3, total: undefined, message: `${'x'.repeat(499)}…` })
      const lines = await app.runs.logs(id)
      expect(lines.map(({ level, message }) => [level, message])).toEqual([
        ['warn', 'ctx.progress: done is NaN; expected a number of 0 or more; such reports are ignored'],
      ])
    })

    it('costs one statement for all runs of a node, whatever the number of reports, and none for runs that report nothing', async () => {
      const gate = new Gate()
      const app = await startApp(fixture.options, [
        defineJob({ id: 'talks' }, async (ctx) => {
          for (let done = 0; done <= 1_000; done++) ctx.progress(done, 1_000)
          await gate.pass()
        }),
        defineJob({ id: 'quiet' }, () => {}),
      ])
      const stored = async (): Promise<unknown[]> =>
        (await database.db.selectFrom('piko_run_progress').selectAll().execute()).map(({ done }) => done)
      const sent = await sqliteStatementsDuring(async () => {
        await app.enqueueMany('quiet', [{}, {}])
        await app.enqueueMany(
          'talks',
          Array.from({ length: 40 }, () => ({})),
        )
        await eventually(async () => expect(await stored()).toEqual(Array.from({ length: 40 }, () => 1_000)))
      })
      gate.open()
      const written = sent.filter(({ text }) => /insert into piko_run_progress/i.test(text))
      // A run may begin after the first write.
      if (fixture.name === 'sqlite') expect(written.length).toBeLessThanOrEqual(3)
    })

    it('is stored before it is shown, also while the node is writing reports', async () => {
      await store.runs.enqueue([1, 2].map(() => ({ jobId: 'work', kind: 'manual', priority: 0 })))
      const { claims } = await store.runs.claim({ nodeId: NODE, limit: 2, limits: new Map() })
      const [first, second] = claims.map((claim) => ({ claim, isOver: false })) as [LiveAttempt, LiveAttempt]
      const [begun, gate] = [Promise.withResolvers<void>(), new Gate()]
      const slow: Pick<ProgressStore, 'save'> = {
        save: async (...args) => {
          begun.resolve()
          await gate.pass()
          await store.progress.save(...args)
        },
      }
      const watch = { size: 0, has: () => false } as unknown as RunWatch
      const [events, clock] = [new Events(), systemClock]
      const loops = new LoopHealth({ events, clock })
      const progress = new RunProgress({ store: slow, watch, events, clock, loops })
      await progress.start()
      onTestFinished(() => progress.stop())
      progress.report(first, 1, undefined, undefined)
      await begun.promise
      progress.report(second, 2, undefined, undefined)
      const looks = [first, second].map(async ({ claim }) => {
        await progress.stored([claim.runId])
        return (await store.progress.of([claim.runId])).get(claim.runId)?.done
      })
      gate.open()
      expect(await Promise.all(looks)).toEqual([1, 2])
    })

    it('survives a table that is away, and a report that the database refuses', async () => {
      const rename = (from: string, to: string) => sql.raw(`ALTER TABLE ${from} RENAME TO ${to}`).execute(database.db)
      const gate = new Gate()
      const app = await startApp(
        fixture.options,
        defineJob({ id: 'work' }, async (ctx) => {
          ctx.progress(1, 2, ctx.input as string)
          await gate.pass()
        }),
      )
      const failures = recordEvents(app, 'loop.failed')
      await rename('piko_run_progress', 'piko_progress_away')
      let ids: number[]
      try {
        ids = await app.enqueueMany('work', [{ input: 'good' }, { input: 'bad' }])
        await eventually(() => expect(failures.some(({ loop }) => loop === 'run-progress')).toBe(true))
      } finally {
        await rename('piko_progress_away', 'piko_run_progress')
      }
      const allow = await refuseRows(database, 'piko_run_progress', 'INSERT', "NEW.message = 'bad'")
      onTestFinished(allow)
      await eventually(async () => {
        const reports = await store.progress.of(ids)
        expect([...reports.values()].map(({ message }) => message)).toEqual(['good'])
        expect(failures.at(-1)?.error.message).toMatch(/^the progress of run \d+ can't be stored and is left out: /)
      })
      gate.open()
      for (const id of ids) expect((await app.waitFor(id)).state).toBe('succeeded')
    })

    it('of an overtaken claim never replaces that of the next one', async () => {
      await store.runs.enqueue([{ jobId: 'work', kind: 'manual', priority: 0 }])
      const claim = async (): Promise<Claim> =>
        (await store.runs.claim({ nodeId: NODE, limit: 1, limits: new Map() })).claims[0] as Claim
      const reportOf = ({ runId, fence }: Claim, done: number): NewProgress => ({
        ...{ runId, fence, attempt: 1, done, total: 1e308, message: "it's 100 % ü 🜁", rate: 0.5 },
      })
      const save = (...reports: NewProgress[]) =>
        store.progress.save(reports, (_report, refusal) => {
          throw refusal
        })
      const shown = async (): Promise<unknown> =>
        [...(await store.progress.of([1, first.runId])).values()].map(({ done }) => done)
      const first = await claim()
      await save(reportOf(first, 1), reportOf({ ...first, runId: first.runId + 1 }, 9))
      expect(await shown()).toEqual([1])
      await database.db.updateTable('piko_run').set({ state: 'queued', node_id: null }).execute()
      const second = await claim()
      await save(reportOf(first, 2))
      expect(await shown()).toEqual([1])
      await save(reportOf(second, 3))
      await save(reportOf(first, 4))
      expect(await shown()).toEqual([3])
      await save(reportOf(second, 5))
      expect([...(await store.progress.of([first.runId])).values()]).toMatchObject([
        { fence: second.fence, done: 5, total: 1e308, message: "it's 100 % ü 🜁", rate: 0.5 },
      ])
      // A person's edit that can't be read is reported, and hides nothing else.
      await database.db.updateTable('piko_run_progress').set({ done: -1 }).execute()
      expect(await shown()).toEqual([])
    })
  })
})
