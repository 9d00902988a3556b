import { compareScripts } from './harness/compare-scripts.ts'
import { parseOptions } from './harness/options.ts'

const THREADS = 2

const script = (name: string): URL => new URL(`scripts/${name}.ts`, import.meta.url)

/** Calls into worker threads through `offload`, and through piscina itself with the same options. */
export async function offloadCalls(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv)
  const shared = { variant: '', server: 'file', options: { threads: THREADS } } as const
  await compareScripts('offload', `${THREADS} threads`, options, [
    { ...shared, system: 'piko', module: script('offload-piko') },
    { ...shared, system: 'piscina', module: script('offload-piscina') },
  ])
}
