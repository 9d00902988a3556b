import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const Row = z
  .object({ id: z.int(), at: z.date(), amount: z.bigint(), raw: z.instanceof(Uint8Array) })
  .meta({ id: 'Row' })
const Text = z.object({ id: z.int(), text: z.string() })
const AT = new Date('2026-01-01T00:00:00Z')

describeEachStore((store) => {
  it('keeps refused rows with their reason, replays them with all their values, and deletes them then', async () => {
    const refused = new Set([3, 7])
    const got: z.infer<typeof Row>[] = []
    const keys: string[] = []
    let isDown = false
    const Rows = defineSink({
      name: 'rows',
      guarantee: 'idempotent',
      deadLetters: true,
      on: [
        [
          Row,
          (rows, { key, index }) => {
            if (isDown) throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' })
            const bad = rows.find(({ id }) => refused.has(id))
            if (bad) throw new Error(`customer of ${bad.id} is unknown`)
            keys.push(`${index} ${key}`)
            got.push(...rows)
          },
        ],
      ],
    })
    const write = defineJob({ id: 'write', sinks: { rows: Rows } }, async (ctx) => {
      for (let id = 1; id <= 9; id++) {
        await ctx.sinks.rows.write(Row, { id, at: AT, amount: 2n ** 70n, raw: new Uint8Array([1, 2]) })
      }
    })
    const app = await startApp(store.options, write)
    const events = recordEvents(app, 'sink.dead')
    const run = await app.run('write', { wait: true })
    expect(got.map(({ id }) => id)).toEqual([1, 2, 4, 5, 6, 8, 9])
    expect(events).toMatchObject([{ sink: 'rows', rows: 2, runId: run.id }])
    expect(await app.runs.show(run.id)).toMatchObject({ deadRows: 2, spilled: [] })

    const dead = await app.sinks.dead({ sink: 'rows' })
    expect(dead).toMatchObject([
      {
        sink: 'rows',
        route: 'Row',
        jobId: 'write',
        runId: run.id,
        place: 2,
        reason: 'Error: customer of 3 is unknown',
      },
      { place: 6, isWhole: true },
    ])
    expect(JSON.parse(dead[0]?.content ?? '')).toMatchObject({ id: 3, at: { $date: AT.toISOString() } })
    expect(await app.sinks.list()).toMatchObject([{ sink: 'rows', deadRows: 2, spilledRows: 0 }])

    refused.delete(3)
    got.length = keys.length = 0
    expect(await app.sinks.replay({ sink: 'rows' })).toEqual({ delivered: 1, refused: 1, left: 0 })
    expect(got).toEqual([{ id: 3, at: AT, amount: 2n ** 70n, raw: Buffer.from([1, 2]) }])
    expect(keys).toEqual([`1 write/run:${run.id}/Row/0/dead:2`])
    isDown = true
    expect(await rejected(app.sinks.replay({ runId: run.id }))).toMatchObject({ code: 'SINK_FAILED' })
    expect(await app.sinks.dead()).toHaveLength(1)

    expect(await rejected(app.sinks.replay({ sink: 'row' }))).toMatchObject({
      code: 'USAGE',
      message: 'app.sinks.replay: no registered job has a sink "row"; did you mean "rows"?',
    })
    expect(await rejected(app.sinks.drop({}))).toMatchObject({ code: 'USAGE' })
    expect(await app.sinks.drop({ sink: 'rows' })).toBe(1)
    const metrics = (await app.metrics()).body
    expect(metrics).toContain('piko_sink_dead_rows_total{sink="rows"} 2')
  })

  it('keeps one dead row for each row of a batch, however many attempts refuse it', async () => {
    const Rows = defineSink({
      name: 'again',
      guarantee: 'atLeastOnce',
      deadLetters: { tolerate: 2 },
      on: [
        [
          Text,
          (rows) => {
            if (rows.some(({ id }) => id === 1)) throw new Error('refused')
          },
        ],
      ],
    })
    const job = defineJob({ id: 'again', sinks: { rows: Rows }, retry: { limit: 2, base: '1ms' } }, async (ctx) => {
      await ctx.sinks.rows.write(Text, { id: 1, text: 'x'.repeat(300_000) })
      await ctx.sinks.rows.write(Text, { id: 2, text: '' })
      await ctx.commit(async () => {
        if (ctx.attempt < 3) throw new Error('again')
      })
    })
    const app = await startApp(store.options, job)
    await app.run('again', { wait: true })
    const dead = await app.sinks.dead({ sink: 'again' })
    expect(dead).toMatchObject([{ attempt: 3, place: 0, isWhole: false }])
    expect(dead[0]?.content).toHaveLength(4_000)
    expect(await app.sinks.replay({ sink: 'again' })).toEqual({ delivered: 0, refused: 0, left: 1 })
  })
})
