import { expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

const JOBS = `
import { defineJob, defineSink } from 'piko'
import { z } from 'zod'
const Order = z.object({ id: z.number() }).meta({ id: 'Order' })
const Orders = defineSink({
  name: 'orders',
  guarantee: 'idempotent',
  deadLetters: true,
  on: [[Order, (rows) => {
    if (process.env.REFUSES && rows.some(({ id }) => id === 2)) throw new Error('no customer')
  }]],
})
export const sync = defineJob({ id: 'sync', sinks: { orders: Orders } }, (ctx) =>
  ctx.sinks.orders.write(Order, [{ id: 1 }, { id: 2 }, { id: 3 }]))
`

it('piko sinks lists, shows and replays rows that a target refused', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  expect((await project.piko(['run', 'sync'], { REFUSES: '1' })).code).toBe(0)
  const list = await project.piko(['sinks', 'list', '--json'])
  expect(JSON.parse(list.stdout)).toMatchObject({ sinks: [{ sink: 'orders', deadRows: 1, spilledRows: 0 }] })
  expect((await project.piko(['runs', 'show', '1'])).stdout).toContain(
    'dead      1 row refused; see piko sinks dead --run 1',
  )
  const dead = await project.piko(['sinks', 'dead', '--sink', 'orders'])
  expect(dead.stdout).toMatch(/^1 +orders +sync +1 +\S+ +Error: no customer +\{"id":2\}$/m)
  expect(errorOf(await project.piko(['sinks', 'replay', 'order', '--json'])).code).toBe('USAGE')
  expect((await project.piko(['sinks', 'replay', 'orders'])).stdout).toBe('1 delivered, 0 refused again, 0 left\n')
  expect((await project.piko(['sinks', 'drop', 'orders'])).stdout).toBe('0 rows deleted\n')
})
