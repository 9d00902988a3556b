import type { Dashboard, Hand } from './hand.ts'
import { type Peer, servePeer } from './peer.ts'

/** Sidequest's own dashboard, on SQLite. */
export async function serveSidequest(file: string): Promise<Dashboard> {
  const peer: Peer = await servePeer('sidequest-board.ts', file)
  const toggle = (name: string) => async (hand: Hand) => {
    await hand.click(hand.page.getByRole('link', { name: 'Queues' }))
    await hand.change(hand.page.getByRole('row', { name: 'sync_orders' }).getByRole('button', { name }))
  }
  return {
    ...peer,
    tasks: {
      'Read why a run failed': async (hand) => {
        await filter(hand, 'failed')
        await hand.click(hand.page.locator('#jobs-table a').first())
        await hand.page.getByText('the shop has no data').first().waitFor()
      },
      'Read the log of that run': 'keeps no log of a job',
      'Run it again': async (hand) => {
        await filter(hand, 'failed')
        await hand.change(hand.page.getByRole('button', { name: 'Rerun' }).first())
      },
      'Run all failed ones again': 'one job at a time',
      'Start a run with an input': 'starts nothing new',
      'Cancel a run that is running': async (hand) => {
        await filter(hand, 'running')
        await hand.change(hand.page.getByRole('button', { name: 'Cancel' }).first())
      },
      'Pause a job': toggle('Pause'),
      'Let it go on': toggle('Activate'),
      'Run five days again': 'jobs have no days',
      'See who paused it, and why': 'keeps no audit',
    },
  }
}

async function filter(hand: Hand, state: string): Promise<void> {
  await hand.click(hand.page.getByRole('link', { name: 'Jobs' }))
  const shown = hand.page.waitForResponse((response) => response.url().includes(`status=${state}`))
  await hand.choose(hand.page.locator('select[name="status"]'), state)
  await shown
}
