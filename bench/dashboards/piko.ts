import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import manifest from '../../package.json' with { type: 'json' }
import { buildStaleDashboard } from '../../scripts/dashboard.ts'
import { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { untilAborted } from '../../src/signals/until-aborted.ts'
import type { Dashboard, Hand } from './hand.ts'

const BROKEN = new Set(['2026-01-05', '2026-01-07'])
const JOBS = [
  defineJob(
    { id: 'sync_orders', cron: '0 0 * * *', windows: { start: '2026-01-01', end: '2026-01-11', catchUp: 'all' } },
    (ctx) => {
      ctx.log.info('GET /orders')
      if (BROKEN.has(ctx.window.start.toISOString().slice(0, 10))) throw new Error('the shop has no data')
      return { rows: 24 }
    },
  ),
  defineJob({ id: 'endless' }, (ctx) => untilAborted(new Promise<never>(() => {}), ctx.signal)),
]

export async function servePiko(): Promise<Dashboard> {
  await buildStaleDashboard()
  const folder = mkdtempSync(join(tmpdir(), 'piko-dashboards-'))
  const settings = { sqlite: { path: join(folder, 'piko.db') }, piko: { log_level: 'silent' } } as const
  const app = new Piko({ jobs: JOBS, settings })
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  await app.enqueue('endless')
  for (let ended = 0; ended < 10; await sleep(50)) {
    const { counts } = await app.windows.summary('sync_orders')
    ended = counts.succeeded + counts.failed
  }
  return {
    url: http.url ?? '',
    version: `Piko ${manifest.version}`,
    close: async () => {
      await app.stop()
      rmSync(folder, { recursive: true, force: true })
    },
    tasks: {
      'Read why a run failed': async (hand) => {
        await hand.click(failures(hand))
        await hand.page.getByText('the shop has no data').first().waitFor()
      },
      'Read the log of that run': async (hand) => {
        await openFailed(hand)
        await hand.page.getByRole('log').getByText('GET /orders').waitFor()
      },
      'Run it again': async (hand) => {
        await openFailed(hand)
        await hand.click(hand.page.getByRole('button', { name: 'Replay…' }))
        await confirm(hand)
      },
      'Run all failed ones again': async (hand) => {
        await hand.click(failures(hand))
        await hand.click(hand.page.getByRole('button', { name: 'Replay all…' }))
        await confirm(hand)
      },
      'Start a run with an input': async (hand) => {
        await hand.click(hand.page.getByRole('link', { name: 'endless' }))
        await hand.fill(hand.page.getByLabel('Input as JSON'), '{"day":"2026-01-11"}')
        await hand.click(hand.page.getByRole('button', { name: 'Run…' }))
        await confirm(hand)
      },
      'Cancel a run that is running': async (hand) => {
        await hand.click(hand.page.getByRole('region', { name: 'Fleet' }).locator('a[href="/runs?state=running"]'))
        await hand.click(hand.page.getByRole('row', { name: 'endless' }).getByRole('link').first())
        await hand.click(hand.page.getByRole('button', { name: 'Cancel…' }))
        await confirm(hand)
      },
      'Pause a job': async (hand) => {
        await hand.click(hand.page.getByRole('link', { name: 'sync_orders' }))
        await hand.click(hand.page.getByRole('button', { name: 'Pause…' }))
        await hand.fill(hand.page.getByRole('dialog').getByLabel('Reason'), 'a holiday')
        await confirm(hand)
      },
      'Let it go on': async (hand) => {
        await hand.click(hand.page.getByRole('link', { name: 'sync_orders' }))
        await hand.click(hand.page.getByRole('button', { name: 'Resume…' }))
        await confirm(hand)
      },
      'Run five days again': async (hand) => {
        await hand.click(hand.page.getByRole('link', { name: 'sync_orders' }))
        await hand.click(hand.page.locator('[data-day="2026-01-01"]'))
        await hand.click(hand.page.locator('[data-day="2026-01-05"]'), ['Shift'])
        await hand.click(hand.page.getByRole('button', { name: 'Run all again…' }))
        await confirm(hand)
      },
      'See who paused it, and why': async (hand) => {
        await hand.click(hand.page.getByRole('link', { name: 'Audit' }))
        await hand.page.getByText('a holiday').first().waitFor()
      },
    },
  }
}

function failures({ page }: Hand) {
  return page.getByRole('row', { name: 'sync_orders' }).locator('a[href*="state=failed"]')
}

async function openFailed(hand: Hand): Promise<void> {
  await hand.click(failures(hand))
  await hand.click(hand.page.getByRole('region', { name: 'Runs' }).locator('a[href^="/runs/"]').first())
}

/** Confirms after the preview is there: a person would read it. */
async function confirm(hand: Hand): Promise<void> {
  const dialog = hand.page.getByRole('dialog')
  await dialog.locator('.preview').waitFor()
  await hand.change(dialog.getByRole('button').first())
}
