import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../../src/app/piko.ts'
import { defineSink } from '../../../src/index.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { defineResource } from '../../../src/resource/define-resource.ts'
import { marksOf, marksText, phasesOf } from '../../../src/run/phases.ts'
import { startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const SLOW_MS = 30
const Row = z.object({ id: z.number() }).meta({ id: 'PhaseRow' })
const Rows = defineSink({ name: 'rows', guarantee: 'idempotent', on: [[Row, () => sleep(SLOW_MS)]] })
const Pool = defineResource({
  name: 'Pool',
  acquire: async function* () {
    await sleep(SLOW_MS)
    yield 1
  },
})

const Broken = defineResource({
  name: 'Broken',
  acquire: async function* (): AsyncGenerator<number, void, void> {
    throw new Error('no connection')
  },
})

const jobs = [
  defineJob({ id: 'whole', resources: { pool: Pool }, sinks: { rows: Rows } }, async (ctx) => {
    if ((ctx.input as number) > ctx.attempt) throw new Error('not yet')
    await ctx.sinks.rows.write(Row, { id: 1 })
    await sleep(SLOW_MS)
  }),
  defineJob({ id: 'committed' }, async (ctx) => {
    await sleep(SLOW_MS)
    await ctx.commit(() => sleep(SLOW_MS))
    await sleep(SLOW_MS)
  }),
  defineJob({ id: 'plain' }, () => {}),
  defineJob({ id: 'broken', resources: { broken: Broken } }, () => {}),
]

describeEachStore((store) => {
  it('shows the phases of each attempt in order and without a hole', async () => {
    await store.empty()
    const app = await startApp(store.options, jobs)
    const attemptsOf = async (jobId: string, input?: unknown) => {
      const run = await app.run(jobId, { input, wait: true })
      return (await app.runs.show(run.id)).attempts
    }
    const [whole] = await attemptsOf('whole', 0)
    const phases = whole?.phases ?? []
    expect(phases.map(({ name }) => name)).toEqual(['queued', 'claimed', 'resources', 'handler', 'sinks', 'committed'])
    for (const [index, { from }] of phases.slice(1).entries()) expect(from).toEqual(phases[index]?.to)
    expect([phases[1]?.from, phases.at(-1)?.to]).toEqual([whole?.startedAt, whole?.finishedAt])
    const long = phases.flatMap(({ name, from, to }) => (to.getTime() - from.getTime() >= SLOW_MS - 5 ? [name] : []))
    expect(long).toEqual(expect.arrayContaining(['resources', 'handler']))

    const [committed] = await attemptsOf('committed')
    expect(committed?.phases.map(({ name }) => name)).toEqual(['queued', 'claimed', 'handler', 'committed'])
    const [plain] = await attemptsOf('plain')
    expect(plain?.phases.map(({ name }) => name)).toEqual(['queued', 'handler'])
  })

  it('keeps the phases of failed attempts, and forgets those of the attempt before a replay', async () => {
    await store.empty()
    const app = await startApp(store.options, jobs)
    const failing = await app.enqueue('whole', { input: 9 })
    await app.waitFor(failing)
    const names = async (app: Piko): Promise<string[][]> =>
      (await app.runs.show(failing)).attempts.map(({ phases }) => phases.map(({ name }) => name))
    expect(await names(app)).toEqual([['queued', 'claimed', 'resources', 'handler', 'committed']])
    const broken = await app.enqueue('broken')
    await app.waitFor(broken)
    const [last] = (await app.runs.show(broken)).attempts
    expect(last?.phases.map(({ name }) => name)).toEqual(['queued', 'claimed', 'resources', 'committed'])
    await app.runs.replay(failing)
    await app.waitFor(failing)
    expect((await names(app)).length).toBe(2)
    // Another claim than the one that the text belongs to.
    await app.sql.exec(`UPDATE piko_run SET phases = 'c1 b1 r2 h3 f4' WHERE id = ${failing}`)
    await app.sql.exec(`UPDATE piko_attempt SET phases = 'garbage' WHERE run_id = ${failing}`)
    expect(await names(app)).toEqual([
      ['queued', 'handler'],
      ['queued', 'handler'],
    ])
  })
})

it('reads only marks of the same claim, and never leaves the time of the attempt', () => {
  const text = marksText(3, { begun: 1.4, ready: -5, handled: 9_999_999, flushed: undefined })
  expect([text, text.length < 100]).toEqual(['c3 b1 r0 h9999999', true])
  expect(marksOf(text, 3)).toEqual({ begun: 1, ready: 0, handled: 9_999_999 })
  for (const wrong of [null, undefined, '', 'c2 b1', 'b1', 'c3x', '☃']) expect(marksOf(wrong, 3)).toBeUndefined()
  const at = (ms: number): Date => new Date(ms)
  expect(phasesOf({ startedAt: at(10), finishedAt: at(50) }, at(20), marksOf(text, 3))).toEqual([
    { name: 'queued', from: at(10), to: at(10) },
    { name: 'claimed', from: at(10), to: at(11) },
    { name: 'resources', from: at(11), to: at(11) },
    { name: 'handler', from: at(11), to: at(50) },
    { name: 'committed', from: at(50), to: at(50) },
  ])
  expect(phasesOf({ startedAt: undefined, finishedAt: at(50) }, at(20), undefined)).toEqual([])
})
