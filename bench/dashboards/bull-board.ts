import type { Dashboard, Hand } from './hand.ts'
import { type Peer, servePeer } from './peer.ts'

/** bull-board over BullMQ. A day is the data of a job, because a queue knows nothing of days. */
export async function serveBullBoard(dsn: string): Promise<Dashboard> {
  const peer: Peer = await servePeer('bull-board.ts', dsn)
  const fromMenu = (name: string) => async (hand: Hand) => {
    await openQueue(hand)
    await hand.click(hand.page.locator('main button[aria-haspopup="menu"]').first())
    await hand.click(hand.page.getByRole('menuitem', { name }))
    await hand.change(hand.page.getByRole('button', { name: 'Confirm' }))
  }
  return {
    ...peer,
    tasks: {
      'Read why a run failed': async (hand) => {
        await openFailed(hand)
        await hand.page.getByText('the shop has no data').first().waitFor()
      },
      'Read the log of that run': async (hand) => {
        await openFailed(hand)
        await hand.click(hand.page.getByRole('tab', { name: 'Logs' }).first())
        await hand.page.getByText('GET /orders').first().waitFor()
      },
      'Run it again': async (hand) => {
        await openFailed(hand)
        const retry = hand.page.locator('main button:has(path[d^="M3 12a9 9 0 0 1 9-9"])')
        await hand.click(retry.filter({ hasNotText: 'Retry all' }).first())
        await hand.change(hand.page.getByRole('button', { name: 'Confirm' }))
      },
      'Run all failed ones again': async (hand) => {
        await openFailed(hand)
        await hand.click(hand.page.getByRole('button', { name: 'Retry all' }))
        await hand.change(hand.page.getByRole('button', { name: 'Confirm' }))
      },
      'Start a run with an input': async (hand) => {
        await openQueue(hand)
        await hand.click(hand.page.locator('main button[aria-haspopup="menu"]').first())
        await hand.click(hand.page.getByRole('menuitem', { name: 'Add job' }))
        await hand.fill(hand.page.locator('.cm-content').first(), '{"day":"2026-01-11"}')
        await hand.change(hand.page.getByRole('button', { name: 'Add', exact: true }))
      },
      'Cancel a run that is running': 'a job that runs has no such button',
      'Pause a job': fromMenu('Pause'),
      'Let it go on': fromMenu('Resume'),
      'Run five days again': 'jobs have no days',
      'See who paused it, and why': 'keeps no audit',
    },
  }
}

async function openQueue(hand: Hand): Promise<void> {
  await hand.click(hand.page.getByRole('link', { name: 'sync_orders' }).first())
}

async function openFailed(hand: Hand): Promise<void> {
  await openQueue(hand)
  await hand.click(hand.page.getByRole('link', { name: /^Failed/i }).first())
}
