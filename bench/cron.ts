import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

/** 10,000 jobs on schedules (`--runs`): spread over the seconds of each minute, all at second 0, and all idle. */
export async function cron(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 10_000, seconds: 60 })
  const { runs: jobs, store, seconds } = options
  const module = new URL('scripts/cron.ts', import.meta.url)
  const shapes = ['spread', 'burst', 'idle'].map((shape) => ({
    ...piko(options),
    variant: shape,
    module,
    options: { store, shape, jobs, seconds },
  }))
  await compareScripts('cron', sceneOf(options, `${jobs.toLocaleString('en')} jobs`), options, shapes)
}
