import { backfill } from './backfill.ts'
import { cron } from './cron.ts'
import { throughput } from './throughput.ts'

/**
 * Repeats other benchmarks at different sizes, to show how the cost grows with the numbers of waiting runs, old runs, scheduled jobs and
 * windows.
 */
export async function growth(argv: readonly string[]): Promise<void> {
  const alone = [...argv, '--peers', 'none']
  for (const runs of ['2000', '200000']) await throughput([...alone, '--runs', runs])
  for (const history of ['50000', '500000']) await throughput([...alone, '--runs', '100000', '--history', history])
  for (const jobs of ['100', '1000']) await cron([...argv, '--runs', jobs])
  await backfill([...argv, '--runs', '105120', '--repeat', '1'])
}
