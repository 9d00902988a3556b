import { Sidequest } from 'sidequest'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Endless, SyncOrders } from './sidequest-board-jobs.ts'
import { versionOf } from './version-of.ts'

const STOP_MS = 1_000

/** Serves Sidequest's dashboard on a SQLite file, with failed jobs and one that runs. Resolves when the jobs have ended. */
export default async function serve(file: string) {
  const port = await freePort()
  await Sidequest.start({
    backend: { driver: '@sidequest/sqlite-backend', config: file },
    queues: [
      { name: 'sync_orders', concurrency: 2 },
      { name: 'endless', concurrency: 1 },
    ],
    logger: { level: 'error' },
    jobPollingInterval: 50,
    gracefulShutdown: false,
    fork: false,
    runner: 'inline',
    dashboard: { enabled: true, port },
  } as Parameters<typeof Sidequest.start>[0])
  for (let day = 1; day <= 10; day += 1) {
    const name = `2026-01-${String(day).padStart(2, '0')}`
    await Sidequest.build(SyncOrders).queue('sync_orders').maxAttempts(1).enqueue({ day: name })
  }
  await Sidequest.build(Endless).queue('endless').enqueue()
  while ((await Sidequest.job.list({ queue: 'sync_orders', state: ['waiting', 'claimed', 'running'] })).length > 0)
    await sleep(50)
  return {
    url: `http://127.0.0.1:${port}`,
    version: `Sidequest ${versionOf('sidequest')}, its dashboard ${versionOf('@sidequest/dashboard')}`,
    // Its end waits for the job that runs.
    close: () => Promise.race([Sidequest.stop(), sleep(STOP_MS)]),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
