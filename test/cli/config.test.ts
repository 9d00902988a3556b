import { expect, it } from 'vitest'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { defineJob } from 'piko'
import { z } from 'zod'
export const sync = defineJob({ id: 'sync', config: z.object({ shop: z.string().default('eu') }) }, (ctx) => {
  ctx.log.warn('synced ' + ctx.config.shop)
  return ctx.config.shop
})
`

it('piko config: sets, shows, lists and rolls back, and a run uses the version in force', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const json = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await project.piko([...args, '--json'])).stdout) as Record<string, unknown>

  const early = await project.piko(['config', 'set', 'sync', '{"shop":"us"}', '--json'])
  expect([early.code, errorOf(early).code]).toEqual([2, 'JOB_UNKNOWN'])
  const node = project.start(['start'])
  await until(() => node.stderr.includes('node started'))
  expect((await project.piko(['config', 'show', 'sync'])).stdout).toMatch(/^No config was saved for sync/)
  expect(await json('config', 'set', 'sync', '{"shop":"us"}')).toMatchObject({ saved: { version: 1 } })
  expect(await json('config', 'set', 'sync', '{"shop":"uk"}')).toMatchObject({ saved: { version: 2 } })
  expect(await json('run', 'sync')).toMatchObject({ state: 'succeeded', output: 'uk' })
  expect(await json('config', 'rollback', 'sync', '1')).toMatchObject({ saved: { version: 3, config: { shop: 'us' } } })
  expect(await json('config', 'show', 'sync')).toMatchObject({ current: { version: 3, config: { shop: 'us' } } })
  expect((await project.piko(['config', 'history', 'sync'])).stdout.trimEnd().split('\n')).toHaveLength(4)

  const refused = await project.piko(['config', 'set', 'sync', '{"shop":7}', '--json'])
  expect([refused.code, errorOf(refused).code]).toEqual([2, 'CONFIG_INVALID'])
  const unread = await project.piko(['config', 'set', 'sync', 'shop=us', '--json'])
  expect([unread.code, errorOf(unread).code]).toEqual([2, 'USAGE'])
  expect(await json('config', 'show', 'sync')).toMatchObject({ current: { version: 3 } })
})

it("piko runs logs and prune: show a handler's log lines, and delete old runs", async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const { id } = JSON.parse((await project.piko(['run', 'sync', '--json'])).stdout) as { id: number }
  const lines = (await project.piko(['runs', 'logs', String(id), '--follow'])).stdout
  expect(lines).toMatch(/^\d{4}-\d\d-\d\dT\S+Z #1 warn {2}synced eu\n$/)
  expect(JSON.parse((await project.piko(['runs', 'logs', String(id), '--level', 'error', '--json'])).stdout)).toEqual({
    runId: id,
    lines: [],
  })
  const unknown = await project.piko(['runs', 'logs', '99', '--json'])
  expect([unknown.code, errorOf(unknown).code]).toEqual([2, 'RUN_UNKNOWN'])
  expect((await project.piko(['runs', 'prune', '--older-than', '0s', '--dry-run'])).stdout).toBe(
    '1 run would be deleted\n',
  )
  expect((await project.piko(['runs', 'prune', '--older-than', '0s', '--state', 'failed'])).stdout).toBe(
    '0 runs deleted\n',
  )
  expect((await project.piko(['runs', 'prune', '--older-than', '0s'])).stdout).toBe('1 run deleted\n')
  expect(JSON.parse((await project.piko(['runs', 'list', '--json'])).stdout)).toEqual({ runs: [] })
  const vague = await project.piko(['runs', 'prune', '--older-than', 'old', '--json'])
  expect(vague.code).toBe(2)
})
