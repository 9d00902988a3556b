import { expect, it } from 'vitest'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { defineJob } from 'piko'
export const ship = defineJob({ id: 'ship', input: z.object({ order: z.int() }), retry: { limit: 0 } }, async (ctx) => {
  ctx.progress(1, 2, 'order ' + ctx.input.order)
  if (ctx.input.order === 7) while (!existsSync('released')) await new Promise((resolve) => setTimeout(resolve, 20))
  if (ctx.input.order % 2 === 0 && !existsSync('repaired')) throw new Error('status 503 for order ' + ctx.input.order)
})
export const report = defineJob({ id: 'report' }, () => {})
`

interface Shown {
  readonly state: string
  readonly failures: readonly { readonly runIds: readonly number[] }[]
}

it('piko batches: creates from a file, waits, shows one report, replays; piko runs shows progress', async () => {
  const project = new Project({ 'jobs.mjs': JOBS, 'orders.ndjson': '{"order":1}\n\n{"order":2}\r\n{"order":4}\n' })
  const create = ['batches', 'create', 'ship', '--items', 'orders.ndjson', '--key', 'day 1', '--on-done', 'report']
  const made = await project.piko([...create, '--json'])
  expect(JSON.parse(made.stdout)).toMatchObject({
    ...{ id: 1, jobId: 'ship', key: 'day 1', state: 'running', total: 3, stored: 3, queued: 3, onDone: 'report' },
    ...{ durations: null, failures: [], doneRunId: null, finishedAt: null },
  })
  project.write('other.ndjson', '{"order":1}\n{"order":}\n[1,\n{"order":12345678901234567890}')
  const wrong = errorOf(await project.piko([...create.with(4, 'other.ndjson'), '--json']))
  expect(wrong.message).toMatch(/line 2: .*line 3: .*line 4: some numbers would lose digits/)
  project.write('other.ndjson', '{"order":1}\n\n{"order":"x"}')
  const refused = errorOf(await project.piko([...create.with(4, 'other.ndjson'), '--json']))
  expect(refused.message).toMatch(/^line 3 \(item 1\): /)
  project.write('other.ndjson', '{"order":1}')
  expect(errorOf(await project.piko([...create.with(4, 'other.ndjson'), '--json'])).code).toBe('BATCH_CONFLICT')

  const node = project.start(['start', '--json'])
  await node.started()
  const ended = await project.piko(['batches', 'wait', '1', '--json'])
  expect(ended.code).toBe(1)
  const shown = JSON.parse(ended.stdout) as Shown
  expect(shown).toMatchObject({ state: 'failed', succeeded: 1, failed: 2, failures: [{ count: 2, items: [1, 2] }] })
  expect(errorOf(ended)).toMatchObject({
    code: 'RUN_FAILED',
    message: 'batch 1 failed: 2 runs failed; piko batches replay 1 queues them again',
  })
  const text = (await project.piko(['batch', 'show', '1'])).stdout
  expect(text).toMatch(/^batch +1\njob +ship\nkey +day 1\nstate +failed\ndone +3 of 3 \(100 %\)/)
  expect(text).toMatch(
    /\n2 failed +Error: status # for order #\n +example +Error: status 503 for order 2\n +runs +\d+, \d+\n +items +1, 2\n$/,
  )
  const run = await project.piko(['runs', 'show', String(shown.failures[0]?.runIds[0])])
  expect(run.stdout).toMatch(/\nbatch +1\nprogress +1 of 2 \(50 %\): order 2\n/)
  project.write('repaired', '')
  expect((await project.piko(['batches', 'replay', '1'])).stdout).toBe('2 runs queued again\n')
  expect((await project.piko(['batches', 'wait', '1'])).code).toBe(0)
  expect(errorOf(await project.piko(['batches', 'cancel', '9', '--json'])).code).toBe('BATCH_UNKNOWN')

  project.write('orders.ndjson', '{"order":7}')
  await project.piko(['batches', 'create', 'ship', '--items', 'orders.ndjson'])
  const list = ['runs', 'list', '--state', 'running']
  await until(async () => (await project.piko(list)).stdout.includes('1 of 2 (50 %)'))
  const listed = (await project.piko(list)).stdout
  expect(listed).toMatch(/^RUN +JOB .*DURATION +PROGRESS +ERROR\n/)
  const id = /^(\d+) /m.exec(listed)?.[1]
  const following = project.start(['runs', 'show', String(id), '--follow'])
  await until(() => following.stdout.includes('1 of 2 (50 %): order 7\n'))
  project.write('released', '')
  const followed = await following.ended
  expect(followed.stdout).toMatch(/^1 of 2 \(50 %\): order 7\nrun +\d+\njob +ship\nstate +succeeded\n/)
  const listedBatches = (await project.piko(['batches', 'list'])).stdout
  expect(listedBatches).toMatch(/^BATCH +JOB +KEY .*\n\d +ship +- .*\n1 +ship +day 1 +succeeded +3\/3 +0 /)
  node.kill('SIGTERM')
  await node.ended
})
