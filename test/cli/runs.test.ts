import { expect, it } from 'vitest'
import type { Attempt } from '../../src/run/attempt.ts'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { existsSync } from 'node:fs'
import { defineJob } from 'piko'
export const fail = defineJob({ id: 'fail', retry: { limit: 1, base: '1ms' } }, async (ctx) => {
  await ctx.step('extract', () => 3)
  await ctx.step('load', () => 3)
  if (existsSync('repaired')) return 'well'
  throw new Error('no such shop')
})
export const wait = defineJob({ id: 'wait' }, ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))))
`

interface ShownRun {
  id: number
  state: string
  attempts: Attempt[]
  steps: object[]
}

it('piko runs: lists, shows with attempts, and replays failed runs', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const failed = JSON.parse((await project.piko(['run', 'fail', '--json'])).stdout) as ShownRun
  const { stdout } = await project.piko(['runs', 'list', '--job', 'fail'])
  const [title, line] = stdout.trimEnd().split('\n')
  expect(title).toMatch(/^RUN +JOB +STATE +ATTEMPT +DUE +DURATION +ERROR$/)
  expect(line?.split(/ {2,}/)).toMatchObject(
    [String(failed.id), 'fail', 'failed', '2', /Z$/, /s$/, 'no such shop'].map(matching),
  )
  expect(JSON.parse((await project.piko(['runs', 'list', '--state', 'queued', '--json'])).stdout)).toEqual({ runs: [] })

  const shown = JSON.parse((await project.piko(['runs', 'show', String(failed.id), '--json'])).stdout) as ShownRun
  expect(shown).toMatchObject({ id: failed.id, state: 'failed' })
  expect(shown.attempts).toMatchObject([
    { attempt: 1, outcome: 'failed', error: { message: 'no such shop' } },
    { attempt: 2, outcome: 'failed', error: { message: 'no such shop' } },
  ])
  const text = (await project.piko(['runs', 'show', String(failed.id)])).stdout
  expect(text).toMatch(/^run +\d+\njob +fail\nstate +failed\n/)
  expect(shown.steps.map((step) => ({ ...step, ms: 0 }))).toMatchObject([
    { name: 'extract', attempt: 1, tries: 1, ms: 0, waitingSince: null, finishedAt: matching(/Z$/) },
    { name: 'load', attempt: 1 },
  ])
  expect(text).toMatch(/\nSTEP +ATTEMPT +TRIES +DURATION +FINISHED\nextract +1 +1 +\d+ms +\S+Z\nload +1 /)
  const misspelt = await project.piko(['runs', 'replay', String(failed.id), '--from', 'laod', '--json'])
  expect(errorOf(misspelt)).toMatchObject({ code: 'USAGE', message: matching(/did you mean "load"\?/) })
  expect((await project.piko(['runs', 'replay', String(failed.id), '--from', 'load', '--dry-run'])).stdout).toBe(
    '1 run would be queued again; 1 step would be forgotten\n',
  )
  expect(text).toMatch(/\nATTEMPT +OUTCOME .*\n1 +failed .* Error: no such shop\n2 +failed /)

  const dry = await project.piko(['runs', 'replay', '--job', 'fail', '--dry-run'])
  expect(dry.stdout).toBe('1 run would be queued again\n')
  const late = ['runs', 'replay', '--job', 'fail', '--since', '2999-01-01T00:00:00Z', '--json']
  expect(JSON.parse((await project.piko(late)).stdout)).toEqual({ dryRun: false, count: 0, superseded: 0 })
  expect((await project.piko(['runs', 'replay', String(failed.id)])).stdout).toBe('1 run queued again\n')
  project.write('repaired', '')
  const again = JSON.parse((await project.piko(['run', 'fail', '--json'])).stdout) as ShownRun
  expect(again.state).toBe('succeeded')
  // A command that runs a job executes no other runs.
  const node = project.start(['start', '--json'])
  const replayed = await until(async () => {
    const run = JSON.parse((await project.piko(['runs', 'show', String(failed.id), '--json'])).stdout) as ShownRun
    return run.state === 'succeeded' && run
  })
  node.kill('SIGTERM')
  await node.ended
  expect(replayed.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'succeeded'])
  expect((await project.piko(['runs', 'replay', String(failed.id)])).stdout).toBe(
    '0 runs queued again; 1 not replayed: only failed and cancelled runs can be\n',
  )
})

it('piko runs cancel: reaches the handler of another process within two seconds, and ends queued runs', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const node = project.start(['start', '--no-http', '--json'])
  await node.started()
  const enqueue = async (): Promise<string> => {
    const { stdout } = await project.piko(['run', 'wait', '--no-wait', '--json'])
    return String((JSON.parse(stdout) as ShownRun).id)
  }
  const show = async (id: string): Promise<ShownRun> =>
    JSON.parse((await project.piko(['runs', 'show', id, '--json'])).stdout) as ShownRun
  const id = await enqueue()
  await until(async () => (await show(id)).state === 'running')
  const cancelled = await project.piko(['runs', 'cancel', id])
  expect(cancelled.stdout).toMatch(new RegExp(`^run ${id} of wait is (being )?cancelled`))
  const ended = await until(async () => {
    const run = await show(id)
    return run.state === 'cancelled' && run
  })
  expect(ended.attempts).toMatchObject([{ outcome: 'cancelled', error: { code: 'RUN_CANCELLED' } }])
  const [attempt] = ended.attempts as unknown as { finishedAt: string }[]
  const { cancelRequestedAt } = ended as unknown as { cancelRequestedAt: string }
  expect(Date.parse(attempt!.finishedAt) - Date.parse(cancelRequestedAt)).toBeLessThan(60_000)
  node.kill('SIGTERM')
  expect((await node.ended).code).toBe(0)

  const queued = await enqueue()
  expect((await project.piko(['runs', 'cancel', queued])).stdout).toBe(`run ${queued} of wait is cancelled\n`)
  await enqueue()
  expect((await project.piko(['runs', 'cancel', queued, '--dry-run'])).stdout).toBe('no queued or running runs\n')
  expect((await project.piko(['runs', 'cancel', '--job', 'wait', '--dry-run'])).stdout).toBe(
    'wait: 1 queued would be cancelled, 0 running would be cancelled by their nodes\n',
  )
  const all = await project.piko(['runs', 'cancel', '--job', 'wait', '--state', 'queued', '--json'])
  expect(JSON.parse(all.stdout)).toEqual({ job: 'wait', dryRun: false, cancelled: 1, requested: 0 })
})

it('piko runs: refuses unknown runs before anything changes', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const refused = async (...args: string[]) => {
    const result = await project.piko(['runs', ...args, '--json'])
    expect(result.code).toBe(2)
    return errorOf(result)
  }
  expect(await refused('show', '7')).toMatchObject({ code: 'RUN_UNKNOWN', details: { runId: 7 } })
  expect(await refused('cancel', '7')).toMatchObject({ code: 'RUN_UNKNOWN' })
  expect(await refused('cancel')).toMatchObject({ code: 'USAGE' })
  expect(await refused('replay', '1', '--job', 'fail')).toMatchObject({ code: 'USAGE' })
  expect(await refused('replay', '--job', 'fail', '--since', '2026-01-01')).toMatchObject({ code: 'USAGE' })
  expect(await refused('list', '--state', 'lost')).toMatchObject({ code: 'USAGE' })
  expect(project.has('.piko')).toBe(false)
})

function matching(cell: string | RegExp): unknown {
  return typeof cell === 'string' ? cell : expect.stringMatching(cell)
}
