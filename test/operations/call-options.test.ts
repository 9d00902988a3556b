import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { offload } from '../../src/offload/offload.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { defineService } from '../../src/service/define-service.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import { startTestApp } from '../../src/testing/test-app.ts'
import { rejected, thrown } from '../support/thrown.ts'

const plain = defineJob({ id: 'plain' }, () => undefined)
const daily = defineJob({ id: 'daily', cron: '0 0 * * *', windows: { start: '2026-01-01T00:00:00Z' } }, () => undefined)
const asking = defineJob({ id: 'asking' }, async (ctx) => {
  const misspelt = { concurency: 1, tll: '1s' } as object
  const errors = [rejected(ctx.map([], () => undefined, misspelt)), rejected(ctx.lock('a', misspelt))]
  return (await Promise.all(errors)).map(({ message }) => message)
})

let app: Piko
beforeAll(async () => {
  app = await startTestApp({ jobs: [plain, daily, asking], plan: false })
})
afterAll(() => app.stop())

const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-03T00:00:00Z' }

/** Every call with options, one misspelt option for it, and the suggestion. */
const MISSPELT: readonly (readonly [call: string, act: (wrong: never) => unknown, name: string, meant: string])[] = [
  ['app.start', (wrong) => app.start(wrong), 'undr', 'under'],
  ['app.run', (wrong) => app.run('plain', wrong), 'prioritty', 'priority'],
  ['app.enqueue', (wrong) => app.enqueue('plain', wrong), 'run_at', 'runAt'],
  ['app.enqueueMany', (wrong) => app.enqueueMany('plain', [], wrong), 'trxx', 'trx'],
  ['item 1: app.enqueueMany', (wrong) => app.enqueueMany('plain', [{}, wrong]), 'inputs', 'input'],
  ['app.runs.list', (wrong) => app.runs.list(wrong), 'jobid', 'jobId'],
  ['app.runs.cancel', (wrong: object) => app.runs.cancel({ jobId: 'plain', ...wrong }), 'states', 'state'],
  ['app.runs.replay', (wrong: object) => app.runs.replay({ jobId: 'plain', ...wrong }), 'sinc', 'since'],
  [
    'app.runs.replay',
    (wrong: object) => app.runs.replay({ jobId: 'plain', ...wrong, dryRun: true }),
    'job_id',
    'jobId',
  ],
  ['app.runs.prune', (wrong: object) => app.runs.prune({ olderThan: '1d', ...wrong }), 'dryrun', 'dryRun'],
  ['app.windows.list', (wrong) => app.windows.list('daily', wrong), 'stat', 'state'],
  ['app.windows.coverage', (wrong) => app.windows.coverage('daily', wrong), 'form', 'from'],
  [
    'app.backfills.create',
    (wrong: object) => app.backfills.create('daily', { ...range, ...wrong }),
    'paralel',
    'parallel',
  ],
  ['app.backfills.list', (wrong) => app.backfills.list(wrong), 'limits', 'limit'],
  ['app.configs.set', (wrong) => app.configs.set('plain', {}, wrong), 'effective_from', 'effectiveFrom'],
  ['app.locks.acquire', (wrong) => app.locks.acquire('a', wrong), 'waits', 'wait'],
]

it('a call refuses an unknown option, and suggests the intended one', async () => {
  const runs = await app.enqueueMany('plain', [{ runAt: '2100-01-01T00:00:00Z' }])
  for (const [call, act, name, meant] of MISSPELT) {
    const error = await rejected(Promise.resolve().then(() => act({ [name]: 1 } as never)))
    expect(error.message).toBe(`${call}: unknown option "${name}", did you mean "${meant}"?`)
    expect(error.code).toBe('USAGE')
  }
  await expect(rejected(app.runs.logs(runs[0] as number, { lvl: 'info' } as never))).resolves.toMatchObject({
    code: 'USAGE',
  })
  // The refused filter changed nothing.
  expect((await app.runs.show(runs[0] as number)).state).toBe('queued')
  await app.runs.cancel({ ids: runs })
})

it('a call names all its problems together, and refuses a list, a string or null as options', async () => {
  const all = await rejected(app.runs.list({ jobId: 5, state: 'done', limt: 3, limit: -1 } as never))
  expect(all.message).toBe(
    [
      'app.runs.list has 4 problems:',
      '  unknown option "limt", did you mean "limit"?',
      '  jobId is 5; expected a string',
      '  state is "done"; expected one of queued, running, succeeded, failed, cancelled, skipped',
      '  limit is -1; expected a whole number from 0',
    ].join('\n'),
  )
  for (const none of [null, 'x', [], 5]) {
    for (const act of [
      () => app.run('plain', none as never),
      () => app.enqueue('plain', none as never),
      () => app.enqueueMany('plain', [none as never]),
      () => app.runs.list(none as never),
    ]) {
      const { code, message } = await rejected((async () => void (await act()))())
      expect([code, message]).toEqual(['USAGE', expect.stringContaining('the options are ')])
    }
  }
})

it("a run of a window is refused from a call that can't request one", async () => {
  const error = await rejected(app.enqueue('plain', { window: range.from } as never))
  expect(error.message).toContain('unknown option "window"')
})

it('a handler gets an error for a misspelt option', async () => {
  const { output } = await app.run('asking', { wait: true })
  expect(output).toEqual([
    expect.stringContaining('unknown option "concurency", did you mean "concurrency"?'),
    expect.stringContaining('unknown option "tll", did you mean "ttl"?'),
  ])
})

it('the wait for a backfill checks its options', async () => {
  const backfill = await app.backfills.create('daily', range)
  expect((await rejected(backfill.wait({ onprogress: 1 } as never))).message).toContain('did you mean "onProgress"?')
  await backfill.cancel()
})

/** Each definition from options, with two problems. */
const DEFINED: readonly (readonly [
  what: string,
  act: (options: never) => unknown,
  options: object,
  ...problems: string[],
])[] = [
  [
    'RESOURCE_INVALID',
    defineResource,
    { name: 'db', acquire: () => 1, open: 1, szie: 5 },
    '"szie", did you mean "size"?',
    'open is 1',
  ],
  ['RESOURCE_INVALID', defineResource, {}, 'name is undefined', 'acquire is undefined'],
  [
    'SINK_FAILED',
    defineSink,
    { name: 'a', on: [[1, 2], [3]], batch_size: 5 },
    'did you mean "batchSize"?',
    'on[0] is',
    'on[1] is',
  ],
  [
    'SINK_FAILED',
    sqlTable,
    { name: 'a', columns: 5, windowcolumn: 'w' },
    'did you mean "windowColumn"?',
    'columns is 5',
  ],
  [
    'SERVICE_INVALID',
    defineService,
    { name: 'a', strat: 1, run: 1 },
    'unknown option "strat", did you mean "start"?',
    'run is 1',
  ],
  [
    'SERVICE_INVALID',
    defineService,
    { name: 'a', timers: { t: { evry: '1s' } }, crontabs: { c: 5 } },
    '"timers.t.evry", did you mean "timers.t.every"?',
    'timers.t.run is undefined',
    'crontabs.c is 5',
  ],
  ['SETTINGS_INVALID', (options) => new OffloadPool(options), { sise: 1 }, 'did you mean "size"?'],
  ['OFFLOAD_FAILED', (options) => offload(new URL('file:///a.ts'), options), { pol: 1 }, 'did you mean "pool"?'],
  [
    'OFFLOAD_FAILED',
    (options) => (offload(new URL('file:///a.ts')) as { $with: (options: never) => unknown }).$with(options),
    { signals: 1, transfer: 5 },
    'did you mean "signal"?',
    'transfer is 5',
  ],
]

it('definitions from options name all their problems', () => {
  for (const [code, act, options, ...problems] of DEFINED) {
    const error = thrown(() => act(options as never))
    expect(error.code).toBe(code)
    for (const problem of problems) expect(error.message).toContain(problem)
    for (const none of [undefined, null, 'text']) {
      // `offload` and its pool have defaults for all options.
      if (none === undefined && /OFFLOAD|SETTINGS/.test(code)) continue
      expect(thrown(() => act(none as never)).code).toBe(code)
    }
  }
})
