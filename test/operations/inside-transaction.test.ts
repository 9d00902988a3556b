import { beforeEach, expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import type { HeldLock, JobContext } from '../../src/job/context.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

describeSqlite((store) => {
  let ask: (ctx: JobContext) => Promise<unknown>
  let app: Piko
  const asks = defineJob({ id: 'asks' }, (ctx) => ask(ctx as JobContext))

  beforeEach(async () => {
    await store.empty()
    app = await startApp(store.options, asks)
  })

  const calls: Record<string, (ctx: JobContext, lock: HeldLock) => unknown> = {
    'ctx.lock': (ctx) => ctx.lock('a'),
    'lock.release': (_ctx, lock) => lock.release(),
    'ctx.limit': (ctx) => ctx.limit('api', '5/s').take(),
    'app.waitFor': (ctx) => app.waitFor(ctx.runId),
    'app.runs.list': () => app.runs.list(),
    'app.runs.show': (ctx) => app.runs.show(ctx.runId),
    'app.runs.cancel': () => app.runs.cancel({ jobId: 'asks', dryRun: true }),
    'app.jobs.list': () => app.jobs.list(),
    'app.schedules.preview': () => app.schedules.preview('asks'),
    'app.windows.summary': () => app.windows.summary('asks'),
    'app.backfills.list': () => app.backfills.list(),
    'app.batches.create': () => app.batches.create('asks', []),
    'app.configs.set': () => app.configs.set('asks', {}),
    'app.configs.show': () => app.configs.show('asks'),
    'app.locks.acquire': () => app.locks.acquire('a'),
    'app.nodes.set': () => app.nodes.set({ concurrency: 2 }),
    'app.resources.list': () => app.resources.list(),
    'app.sinks.dead': () => app.sinks.dead(),
  }

  it('a call that would wait for its own transaction is refused immediately, whatever it asks', async () => {
    const answers: Record<string, unknown> = {}
    ask = async (ctx) => {
      const lock = await ctx.lock('mine')
      await app.sql.transaction(async () => {
        for (const [name, call] of Object.entries(calls)) {
          const error = await rejected((async () => call(ctx, lock))())
          answers[name] = [(error as { readonly code?: string }).code, error.message.includes('its own transaction')]
        }
      })
      // Outside, the same calls are answered.
      await lock.release()
      await (await app.locks.acquire('a')).release()
      return (await app.runs.list()).length
    }
    expect((await app.run('asks', { wait: true })).output).toBe(1)
    expect(answers).toEqual(Object.fromEntries(Object.keys(calls).map((name) => [name, ['USAGE', true]])))
  })
})
