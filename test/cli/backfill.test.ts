import { expect, it } from 'vitest'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { z } from 'zod'
import { defineJob } from 'piko'
const windows = { start: '2025-01-01T00:00:00Z', end: '2025-01-03T00:00:00Z', catchUp: 'none', parallel: 10 }
export const hourly = defineJob({ id: 'hourly', cron: '0 * * * *', windows, config: z.object({ shop: z.string().default('eu') }) }, (ctx) => {
  if (ctx.config.shop === 'nowhere') throw new Error('no such shop')
})
export const daily = defineJob({ id: 'daily', cron: '0 0 * * *', windows, dependsOn: [hourly] }, () => {})
export const hand = defineJob({ id: 'hand' }, () => {})
`
const DAY = ['--from', '2025-01-01T00:00:00Z', '--to', '2025-01-02T00:00:00Z']

interface Shown {
  id: number
  state: string
  total: number
  succeeded: number
  failed: number
}

it('piko backfill: a dry run lists the exact windows; create, follow, list, show, pause, resume and cancel', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const dry = await project.piko(['backfill', 'create', 'hourly', ...DAY, '--order', 'newest', '--dry-run', '--json'])
  const { job, windows, count } = JSON.parse(dry.stdout) as { job: string; windows: unknown[]; count: number }
  expect({ job, count, first: windows[0] }).toEqual({
    job: 'hourly',
    count: 24,
    first: { start: '2025-01-01T23:00:00.000Z', end: '2025-01-02T00:00:00.000Z', state: null, date: null },
  })
  const text = await project.piko(['backfill', 'create', 'hourly', ...DAY, '--dry-run'])
  expect(text.stdout.split('\n').slice(0, 1)).toEqual(['2025-01-01T00:00:00Z  2025-01-01T01:00:00Z  missing'])
  expect(text.stdout).toMatch(/\n24 windows to run\n$/)
  expect((await project.piko(['backfill', 'list'])).stdout).toBe('no backfills\n')

  // The backfill waits, because no node runs yet.
  const made = JSON.parse((await project.piko(['backfill', 'create', 'hourly', ...DAY, '--json'])).stdout) as Shown
  expect(made).toMatchObject({ id: 1, state: 'running', total: 24, succeeded: 0 })
  const paused = JSON.parse((await project.piko(['backfill', 'pause', '1', '--json'])).stdout) as Shown
  expect(paused.state).toBe('paused')
  const node = project.start(['start', '--json'])
  await node.started()
  expect((await project.piko(['backfill', 'resume', '1'])).stdout).toMatch(
    /^backfill +1\njob +hourly\nstate +running\n/,
  )
  const followed = await project.piko(['backfill', 'show', '1', '--follow', '--json'])
  expect(followed.code).toBe(0)
  expect(JSON.parse(followed.stdout)).toMatchObject({ state: 'succeeded', done: 24, succeeded: 24, etaMs: null })

  const failing = [
    'backfill',
    'create',
    'hourly',
    ...DAY,
    '--only',
    'all',
    '--config',
    '{"shop":"nowhere"}',
    '--follow',
  ]
  const failed = await project.piko([...failing, '--json'])
  expect(failed.code).toBe(1)
  expect(JSON.parse(failed.stdout)).toMatchObject({ id: 2, state: 'failed', failed: 24 })
  expect(errorOf(failed)).toMatchObject({ code: 'RUN_FAILED', message: 'backfill 2 failed: 24 windows failed' })
  expect((await project.piko(['backfill', 'list'])).stdout.split('\n')[1]?.split(/ {2,}/)).toEqual([
    '2',
    'hourly',
    '2025-01-01T00:00:00Z',
    '2025-01-02T00:00:00Z',
    'failed',
    '24/24',
    '24',
    '-',
  ])
  const coverage = await project.piko(['windows', 'coverage', 'hourly', '--to', '2025-01-03T00:00:00Z'])
  expect(coverage.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['FROM', 'TO', 'STATE', 'WINDOWS'],
    ['2025-01-01T00:00:00Z', '2025-01-02T00:00:00Z', 'failed', '24'],
    ['2025-01-02T00:00:00Z', '2025-01-03T00:00:00Z', 'missing', '0'],
    [''],
  ])
  const late = await project.piko(['windows', 'list', 'hourly', '--from', '2025-01-01T22:00:00Z', '--json'])
  expect((JSON.parse(late.stdout) as { windows: unknown[] }).windows).toHaveLength(2)
  // Its hours have failed: the day waits, names what it waits for, and can be cancelled.
  await project.piko(['backfill', 'create', 'daily', ...DAY])
  const waiting = await until(async () => {
    const { stdout } = await project.piko(['windows', 'daily', '--state', 'waiting'])
    return stdout.includes('waits for') && stdout
  })
  expect(waiting).toMatch(/waiting +- +- +waits for hourly from 2025-01-01T00:00:00Z/)
  await project.piko(['backfill', 'cancel', '3'])
  const cancelled = await project.piko(['backfill', 'show', '3', '--json'])
  expect(JSON.parse(cancelled.stdout)).toMatchObject({ state: 'cancelled', cancelled: 1 })
  node.kill('SIGTERM')
  expect((await node.ended).code).toBe(0)
})

it('piko backfill refuses nonsense, and leaves nothing behind', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const refused = async (...args: string[]) => {
    const result = await project.piko(['backfill', ...args, '--json'])
    expect(result.code).toBe(2)
    return errorOf(result)
  }
  expect(await refused('create', 'hand', ...DAY)).toMatchObject({ code: 'WINDOW_UNKNOWN' })
  expect(await refused('create', 'hourl', ...DAY)).toMatchObject({ code: 'JOB_UNKNOWN' })
  expect(await refused('create', 'hourly', '--from', '2025-02-29', '--to', '2025-03-02T00:00:00Z')).toMatchObject({
    code: 'USAGE',
  })
  expect(await refused('create', 'hourly', ...DAY, '--config', '{"shop":7}')).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(await refused('show', '9')).toMatchObject({ code: 'BACKFILL_UNKNOWN' })
})

it('piko graph --jobs draws the dependencies; a cycle is refused and printed', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  expect(JSON.parse((await project.piko(['graph', '--jobs', '--json'])).stdout)).toEqual({
    nodes: [
      { id: 'daily', hasWindows: true },
      { id: 'hand', hasWindows: false },
      { id: 'hourly', hasWindows: true },
    ],
    edges: [{ from: 'hourly', to: 'daily' }],
  })
  expect((await project.piko(['graph', '--jobs'])).stdout).toMatch(/^flowchart LR\n[\s\S]*job2 --> job0/)
  expect((await project.piko(['graph', '--jobs', '--format', 'svg'])).stdout).toMatch(/<svg[\s\S]*hourly[\s\S]*<\/svg>/)
  project.write(
    'circle.mjs',
    `import { defineJob } from 'piko'
     const windows = { start: '2025-01-01T00:00:00Z' }
     export const a = defineJob({ id: 'a', cron: '0 * * * *', windows, dependsOn: ['b'] }, () => {})
     export const b = defineJob({ id: 'b', cron: '0 * * * *', windows, dependsOn: ['a'] }, () => {})`,
  )
  const circle = await project.piko(['start', '--jobs', 'circle.mjs', '--json'])
  expect(circle.code).toBe(2)
  expect(errorOf(circle)).toMatchObject({ code: 'DEPENDENCY_INVALID' })
  expect(errorOf(circle).message).toMatch(/a → b → a/)
})

it('piko schedules set and clear take effect within a poll, as jobs list shows; piko nodes and locks', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const node = project.start(['start', '--json'])
  await node.started()
  const { nodes } = JSON.parse((await project.piko(['nodes', 'list', '--json'])).stdout) as { nodes: object[] }
  expect(nodes).toMatchObject([{ isLive: true, pid: expect.any(Number) as number }])
  expect((await project.piko(['nodes', 'list'])).stdout).toMatch(/^NODE .*STATE\n\S+ .* live\n$/)
  expect((await project.piko(['locks', 'list', '--json'])).stdout).toBe('{"locks":[]}\n')
  const set = await project.piko(['schedule', 'set', 'hand', '--cron', '0 6 1 1 *', '--timezone', 'Europe/Rome'])
  expect(set.stdout).toBe('hand: 0 6 1 1 *\n')
  interface Listed {
    id: string
    isOverridden: boolean
    nextTick: string | null
  }
  const hand = async () =>
    (JSON.parse((await project.piko(['jobs', 'list', '--json'])).stdout) as { jobs: Listed[] }).jobs.find(
      ({ id }) => id === 'hand',
    )
  const listed = await until(async () => {
    const job = await hand()
    return job?.nextTick ? job : undefined
  })
  expect(listed).toMatchObject({
    isOverridden: true,
    nextTick: expect.stringMatching(/-01-01T05:00:00\.000Z$/) as string,
  })
  const preview = ['schedule', 'preview', 'hand', '--from', '2026-06-01T00:00:00Z', '--count', '2', '--json']
  expect(JSON.parse((await project.piko(preview)).stdout)).toMatchObject({
    ticks: [{ at: '2027-01-01T05:00:00Z' }, {}],
  })
  expect(JSON.parse((await project.piko([...preview, '--code'])).stdout)).toEqual({ ticks: [], windows: [] })
  // A fixed rate is aligned to the first window.
  const rate = await project.piko(['schedule', 'set', 'hourly', '--every', '7h', '--json'])
  expect(JSON.parse(rate.stdout)).toMatchObject({ schedule: { kind: 'every', anchor: '2025-01-01T00:00:00.000Z' } })
  expect((await project.piko(['schedules', 'clear', 'hand', '--json'])).stdout).toBe(
    '{"jobId":"hand","schedule":null}\n',
  )
  await until(async () => (await hand())?.nextTick === null)
  const bad = await project.piko(['schedule', 'set', 'hourly', '--at', '2026-01-01T00:00:00Z', '--json'])
  expect(errorOf(bad)).toMatchObject({ code: 'SCHEDULE_INVALID' })
  expect(errorOf(await project.piko(['schedule', 'set', 'hand', '--json']))).toMatchObject({ code: 'USAGE' })
  node.kill('SIGTERM')
  await node.ended
})
