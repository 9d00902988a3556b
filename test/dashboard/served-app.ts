import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { z } from 'zod'
import { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineService } from '../../src/service/define-service.ts'
import { untilAborted } from '../../src/signals/until-aborted.ts'
import type { JobSource } from '../../src/job/job-source.ts'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import { testSettings } from '../support/app.ts'
import { PATIENCE_MS } from '../support/patience.ts'

/** Would set a mark and call an alert if it ever became HTML, and reverses the direction of text. */
export const HOSTILE = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"'\u202e${'{{7*7}}'}`

let isFixed = false
/** Makes the next tries of `daily` succeed for its broken day. */
export function fixBrokenDay(): void {
  isFixed = true
}

export const BROKEN_DAY = '2026-01-05T00:00:00.000Z'

export const JOBS = [
  defineJob(
    {
      id: 'daily',
      description: 'One day of data',
      cron: '0 0 * * *',
      timezone: 'Europe/Berlin',
      windows: { start: '2026-01-01', end: '2026-01-11', catchUp: 'all', parallel: 4 },
      retry: { limit: 1, base: '1ms' },
    },
    (ctx) => {
      ctx.log.info(`reading ${ctx.window.start.toISOString()}`)
      if (ctx.window.end > new Date(BROKEN_DAY) && ctx.window.start <= new Date(BROKEN_DAY) && !isFixed)
        throw new Error('the station has no data')
      return { rows: 24 }
    },
  ),
  defineJob(
    {
      id: 'hourly',
      cron: '0 * * * *',
      timezone: 'America/New_York',
      config: z.object({ shop: z.string().default('eu') }),
    },
    () => 1,
  ),
  defineJob({ id: 'endless' }, (ctx) => untilAborted(new Promise<never>(() => {}), ctx.signal)),
  defineJob({ id: 'hostile' }, (ctx) => {
    ctx.log.warn(HOSTILE)
    throw new Error(HOSTILE)
  }),
]

export interface Served {
  readonly app: Piko
  readonly url: string
  /** Ends this process's part and starts again on the same store and address. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** A real app on a new SQLite file, with its server. */
export async function serveApp(jobs: JobSource = JOBS, settings: SettingsOverrides = {}): Promise<Served> {
  // The test files of a worker share this module.
  isFixed = false
  const folder = await mkdtemp(join(tmpdir(), 'piko-dashboard-'))
  const open = async (port: number) => {
    const app = new Piko({
      jobs,
      services: [defineService({ name: 'Prices' })],
      settings: testSettings({ sqlitePath: join(folder, 'piko.db') }, settings),
    })
    const http = app.addService(new HttpService(app, { host: '127.0.0.1', port }), { first: true })
    await app.start()
    return { app, url: http.url ?? '' }
  }
  const first = await open(0)
  let { app } = first
  const { url } = first
  return {
    get app() {
      return app
    },
    url,
    restart: async () => {
      await app.stop()
      ;({ app } = await open(Number(new URL(url).port)))
    },
    close: async () => {
      await app.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until all days of `daily` have ended. */
export async function daysEnded({ app }: Served): Promise<void> {
  const ended = async (): Promise<void> => {
    expect((await app.windows.summary('daily')).counts).toMatchObject({ succeeded: 9, failed: 1 })
  }
  await vi.waitFor(ended, { timeout: PATIENCE_MS })
}
