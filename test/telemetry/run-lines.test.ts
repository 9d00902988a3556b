import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

describeEachStore((store) => {
  it('a run is one line at info, with its duration and how it ended; its begin is at debug', async () => {
    const lines: Record<string, unknown>[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) }
    const logger = createLogger({ level: 'debug', json: true, name: 'test', stream })
    const sync = defineJob({ id: 'sync', retry: { limit: 0 } }, async (ctx) => {
      await ctx.step('fetch', () => 1)
      ctx.progress(1, 2)
      if (ctx.input === 'fail') throw new Error('no answer')
      return { rows: 3 }
    })
    const app = await startApp(store.options, [sync], { logger })
    const good = await app.run('sync', { wait: true })
    const bad = await app.enqueue('sync', { input: 'fail' })
    await app.waitFor(bad)
    await app.stop()

    const of = (id: number) => lines.filter(({ run_id: run }) => run === id)
    const told = (id: number) => of(id).filter(({ level }) => level !== 'debug')
    expect(told(good.id)).toMatchObject([
      {
        level: 'info',
        piko_event: 'run.settled',
        outcome: 'success',
        state: 'succeeded',
        duration_ms: expect.any(Number) as number,
      },
    ])
    expect(told(good.id)[0]?.['msg']).toMatch(/^run succeeded in \d/)
    expect(told(bad)).toMatchObject([
      { level: 'error', outcome: 'failure', state: 'failed', err: { message: 'no answer' } },
    ])
    expect(of(good.id).map(({ piko_event: event }) => event)).toContain('run.started')
  })
})
