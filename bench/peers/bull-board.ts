import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import { Queue, Worker } from 'bullmq'
import express from 'express'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { versionOf } from './version-of.ts'

/** Serves bull-board on a Redis server, with failed jobs, one that runs and none that waits. Resolves when the jobs have ended. */
export default async function serve(dsn: string) {
  const { hostname, port } = new URL(dsn)
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
  const orders = new Queue('sync_orders', { connection })
  const endless = new Queue('endless', { connection })
  for (const queue of [orders, endless]) await queue.obliterate({ force: true })
  const work = new Worker(
    orders.name,
    async (job) => {
      await job.log('GET /orders')
      if (job.data.day === '2026-01-05' || job.data.day === '2026-01-07') throw new Error('the shop has no data')
      return { rows: 24 }
    },
    { connection },
  )
  const held = new Worker(endless.name, () => sleep(3_600_000), { connection })
  await orders.addBulk(days().map((day) => ({ name: 'sync_orders', data: { day } })))
  await endless.add('endless', {})
  while ((await orders.getJobCountByTypes('wait', 'active')) > 0) await sleep(20)
  const adapter = new ExpressAdapter()
  createBullBoard({ queues: [new BullMQAdapter(orders), new BullMQAdapter(endless)], serverAdapter: adapter })
  const server = express().use(adapter.getRouter()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    version: `bull-board ${versionOf('@bull-board/api')}, BullMQ ${versionOf('bullmq')}`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await Promise.all([work.close(), held.close(true)])
      await Promise.all([orders.close(), endless.close()])
    },
  }
}

function days(): string[] {
  return Array.from({ length: 10 }, (_, day) => `2026-01-${String(day + 1).padStart(2, '0')}`)
}
