import { expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

const ORDERS = `
import { z } from 'zod'
import { type ContextOf, defineJob, job, jobSpec } from 'piko'
export const loadSpec = jobSpec({ id: 'load', input: z.object({ order: z.number() }), config: z.object({ shop: z.string() }) })
const hidden = jobSpec({ id: 'hidden' })
export class Orders {
  @job(loadSpec) async load(ctx: ContextOf<typeof loadSpec>) {}
  @job(hidden) async hide(ctx: ContextOf<typeof hidden>) {}
}
export default defineJob({ id: 'ship' }, () => ({ parcels: 1 }))
export const spare = [defineJob({ id: 'a.b:c/d' }, () => 1)]
`
const DAYS = `
import { defineJob } from 'piko'
const windows = { start: '2026-01-01T00:00:00Z' }
export const day = defineJob({ id: 'day', every: '1d', windows, proof: '0 6 * * *' }, () => {})
`
it('piko jobs types writes a declaration that names for each id where its types are', async () => {
  const project = new Project({ 'jobs/orders.ts': ORDERS, 'jobs/days.mts': DAYS })
  const { code, stdout } = await project.piko(['jobs', 'types', '--out', 'types/piko-jobs.d.ts'])
  expect([code, stdout]).toEqual([0, '6 jobs in types/piko-jobs.d.ts\n'])
  const text = project.read('types/piko-jobs.d.ts')
  expect(text.match(/^ {4}.*$/gm)).toEqual([
    "    'a.b:c/d': import('piko').Typed",
    "    'day': typeof import('../jobs/days.mts').day",
    "    'day:proof': import('piko').Typed",
    "    'hidden': import('piko').Typed",
    "    'load': typeof import('../jobs/orders.ts').loadSpec",
    "    'ship': typeof import('../jobs/orders.ts').default",
  ])
  const wrong = await project.piko(['jobs', 'types', '--out', 'jobs.ts', '--json'])
  expect([wrong.code, errorOf(wrong).code]).toEqual([2, 'USAGE'])
})
