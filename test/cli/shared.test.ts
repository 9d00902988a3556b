import { expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

const JOBS = `
import { defineJob } from 'piko'
import { defineShared } from 'piko/sync'
import { z } from 'zod'
export const Rates = defineShared({ topic: 'rates', schema: z.object({ eur: z.number() }), initial: { eur: 1 } })
export const read = defineJob({ id: 'read' }, (ctx) => ctx.shared(Rates).value.eur)
`

it('piko shared publishes, lists, shows and rolls back a value that runs then use', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  expect((await project.piko(['shared', 'show', 'rates'])).stdout).toMatch(/^No version of rates was published/)
  expect(await project.piko(['shared', 'publish', 'rates', '{"eur":2}', '--reason', 'sale'])).toMatchObject({
    ...{ code: 0, stdout: 'rates has version 2\n' },
  })
  const misfit = await project.piko(['shared', 'publish', 'rates', '{"eur":"x"}', '--json'])
  expect([misfit.code, errorOf(misfit).code]).toEqual([2, 'SHARED_INVALID'])
  expect(errorOf(await project.piko(['shared', 'publish', 'rate', '1', '--json'])).code).toBe('SHARED_UNKNOWN')
  const run = await project.piko(['run', 'read', '--json'])
  expect(JSON.parse(run.stdout)).toMatchObject({ output: 2 })
  expect((await project.piko(['shared', 'rollback', 'rates', '1', '--json'])).stdout).toBe(
    '{"topic":"rates","version":3}\n',
  )
  expect((await project.piko(['shared', 'list'])).stdout).toMatch(/^rates +3 +3 +\S+ +rollback to version 1$/m)
  expect((await project.piko(['shared', 'history', 'rates'])).stdout).toMatch(/^2 +\S+ +sale +\{"eur":2\}$/m)
})
