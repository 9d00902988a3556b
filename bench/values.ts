import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const script = (name: string): URL => new URL(`values/${name}.ts`, import.meta.url)

/**
 * Shared values and electors of several processes, and a cache of 1,000,000 keys (`--runs`) of which 10,000 stay in memory. With `doorbell`
 * the nodes notify each other; with `poll` they only poll.
 */
export async function values(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 1_000_000, repeat: 1 })
  const { runs, store } = options
  const shared = { ...piko(options), module: script('shared') }
  await compareScripts('values', sceneOf(options), options, [
    { ...shared, variant: 'doorbell', options: { store, doorbell: 'auto' } },
    { ...shared, variant: 'poll', options: { store, doorbell: 'off' } },
    { ...piko(options), variant: 'elector', module: script('elector'), options: { store } },
    { ...piko(options), variant: 'cache', module: script('cache'), options: { store, keys: runs } },
  ])
}
