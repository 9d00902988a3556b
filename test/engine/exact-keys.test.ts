import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { Gate, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

/** All keys differ: by a blank at the end, a case, an accent, a form, a control character, a width. */
const KEYS = [
  ...['a', 'a ', 'a  ', ' a', 'a\t', 'a\n', 'a\0', 'a\u0001', 'a \u0001', 'a\u0001\u0001', 'a\u00a0', 'a\u3000'],
  ...['A', '\u00e4', 'a\u0308', '\uff41', 'a\u200b', '😀', '😀 ', 'ß', 'ss', "a'", 'a\\', ' ', '  '],
]

describeEachStore((fixture) => {
  const start = async (...jobs: ReturnType<typeof defineJob>[]) => {
    await fixture.open()
    await fixture.empty()
    return startApp(fixture.options, jobs, { settings: { piko: { concurrency: 100 } } })
  }

  it('distinguishes idempotency keys by every byte, with and without trx', async () => {
    const app = await start(defineJob({ id: 'ship' }, () => {}))
    const asked = async (): Promise<number[]> =>
      Promise.all(KEYS.map((idempotencyKey) => app.enqueue('ship', { idempotencyKey })))
    const ids = await asked()
    expect(new Set(ids).size).toBe(KEYS.length)
    expect(await asked()).toEqual(ids)
    const inTransaction = await app.sql.transaction((trx) =>
      app.enqueueMany(
        'ship',
        KEYS.map((idempotencyKey) => ({ idempotencyKey })),
        { trx },
      ),
    )
    expect(inTransaction).toEqual(ids)
  })

  it('distinguishes the keys of limits by every byte', async () => {
    const gate = new Gate()
    const seen = new Set<unknown>()
    const hold = defineJob({ id: 'hold', concurrency: { limit: 1, key: (run) => String(run.input) } }, async (ctx) => {
      seen.add(ctx.input)
      await gate.pass(ctx.signal)
    })
    const call = defineJob({ id: 'call', rate: { rate: '1/h', key: (run) => String(run.input) } }, () => {})
    const app = await start(hold, call)
    const held = await app.enqueueMany(
      'hold',
      KEYS.map((input) => ({ input })),
    )
    const called = await app.enqueueMany(
      'call',
      KEYS.map((input) => ({ input })),
    )
    for (const id of called) expect((await app.waitFor(id)).state).toBe('succeeded')
    await expect.poll(() => seen.size).toBe(KEYS.length)
    gate.open()
    for (const id of held) expect((await app.waitFor(id)).state).toBe('succeeded')
  })

  it.each([
    ['a text that is too long with the blank at its end', `${'x'.repeat(254)} `],
    ['a text with half a character', 'a\ud800'],
  ])('refuses %s', async (_name, idempotencyKey) => {
    const job = defineJob({ id: 'keyed', concurrency: { limit: 1, key: (run) => String(run.input) } }, () => {})
    const app = await start(job)
    await expect(app.enqueue('keyed', { idempotencyKey, input: 'a' })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(app.enqueue('keyed', { input: idempotencyKey.slice(-128) })).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('accepts keys of the full length', async () => {
    const job = defineJob({ id: 'keyed', concurrency: { limit: 1, key: (run) => String(run.input) } }, () => {})
    const app = await start(job)
    for (const [key, input] of [
      ['x'.repeat(255), 'x'.repeat(128)],
      [`${'x'.repeat(253)} `, `${'x'.repeat(126)} `],
      ['😀'.repeat(127), '😀'.repeat(64)],
    ] as const)
      expect((await app.run('keyed', { idempotencyKey: key, input, wait: true })).state).toBe('succeeded')
  })

  it('finds a job only by its exact id', async () => {
    const app = await start(
      defineJob(
        { id: 'sync', every: '1d', windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-05T00:00:00Z' } },
        () => {},
      ),
    )
    await expect.poll(async () => (await app.windows.summary('sync')).counts.succeeded).toBe(4)
    const nothing = await app.windows.summary('nothing')
    expect(await app.windows.coverage('sync')).not.toEqual([])
    for (const id of ['sync ', ' sync', 'SYNC', 's\u00fdnc', 'sync\0']) {
      await expect(app.run(id)).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
      await expect(app.jobs.pause(id)).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
      await expect(app.jobs.why(id)).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
      await expect(app.schedules.set(id, null)).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
      expect(await app.runs.list({ jobId: id })).toEqual([])
      expect(await app.runs.replay({ jobId: id })).toMatchObject({ count: 0 })
      expect(await app.runs.prune({ jobId: id, olderThan: '0s', dryRun: true })).toBe(0)
      expect(await app.windows.list(id)).toEqual([])
      expect(await app.windows.summary(id)).toEqual({ ...nothing, jobId: id })
      expect(await app.windows.coverage(id)).toEqual([])
      expect(await app.windows.coverage(id, { from: '2026-01-01T12:00:00Z' })).toEqual([])
      await expect(app.configs.history(id)).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
    }
  })
})
