import { cron } from './cron.ts'
import { throughput } from './throughput.ts'

/** What ten times as much of everything costs: standing runs, history, nodes, jobs on schedules. Piko and the bare loop alone. */
export async function growth(argv: readonly string[]): Promise<void> {
  const alone = [...argv, '--peers', 'none']
  for (const runs of ['2000', '20000', '200000']) await throughput([...alone, '--runs', runs])
  for (const history of ['50000', '500000']) await throughput([...alone, '--runs', '20000', '--history', history])
  for (const nodes of ['2', '4']) await throughput([...alone, '--runs', '50000', '--nodes', nodes])
  for (const jobs of ['100', '1000']) await cron([...argv, '--runs', jobs])
}
