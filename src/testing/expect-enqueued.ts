import { AssertionError } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'
import type { Piko } from '../app/piko.ts'
import { checkedCall } from '../call-options.ts'
import { counted } from '../counted.ts'
import { zoneOfDefinition } from '../engine/planning/plan-job.ts'
import { propertyOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { jobIdOf } from '../operations/job-id.ts'
import type { JobRef } from '../job/job-types.ts'
import { anything, type OptionChecks, wholeNumber } from '../options.ts'
import type { Run } from '../run/run.ts'
import { momentOf, type WindowInput } from '../time/local-dates.ts'

/** The maximum number of runs that are read, newest first. */
const MAX_READ = 1_000
/** The maximum number of runs that an error shows. */
const MAX_SHOWN = 20

export interface EnqueuedFilter {
  /** The input as the database returns it, where dates are strings. */
  readonly input?: unknown
  /** The start of the window. */
  readonly window?: WindowInput
  /** The run's own config. */
  readonly config?: unknown
  /** How many runs must match. Default: at least one. */
  readonly count?: number
}

const CHECKS: OptionChecks<EnqueuedFilter> = {
  input: anything,
  window: anything,
  config: anything,
  count: wholeNumber(0),
}

/**
 * Checks that runs of a job were enqueued, and returns them, newest first. Their state does not matter. Reads only the newest 1,000 runs.
 *
 * @throws AssertionError of `node:assert` that lists what was enqueued instead
 * @throws PikoError `USAGE`
 * @example
 * const [run] = await expectEnqueued(app, shipOrder, { input: { id: 7 } })
 */
export async function expectEnqueued(app: Piko, job: JobRef, filter: EnqueuedFilter = {}): Promise<Run[]> {
  if (propertyOf(app, 'registry') === undefined || propertyOf(app, 'runs') === undefined) {
    throw new PikoError('USAGE', `expectEnqueued got ${describe(app)}; expected the app, as startTestApp returns it`)
  }
  const jobId = jobIdOf('expectEnqueued', job)
  const { input, window, config, count } = checkedCall('expectEnqueued', CHECKS, filter)
  const definition = app.registry.find(jobId)
  const start =
    window === undefined
      ? undefined
      : momentOf('expectEnqueued: window', window, definition ? zoneOfDefinition(definition) : 'UTC')
  const runs = await app.runs.list({ jobId, limit: MAX_READ })
  const found = runs.filter(
    (run) =>
      (input === undefined || isDeepStrictEqual(run.input, input)) &&
      (config === undefined || isDeepStrictEqual(run.config, config)) &&
      (start === undefined || run.window?.start.getTime() === start.getTime()),
  )
  if (count === undefined ? found.length > 0 : found.length === count) return found
  const others = runs.length > 0 ? runs : await app.runs.list({ limit: MAX_SHOWN })
  const wanted = JSON.stringify({ input, window: start, config })
  throw new AssertionError({
    message:
      `expected ${count === undefined ? 'at least 1 run' : counted(count, 'run')} of job "${jobId}"${wanted === '{}' ? '' : ` with ${wanted}`}, but ${found.length} match. ` +
      (definition || runs.length > 0 ? '' : `This app has no such job; its jobs are ${app.registry.ids.join(', ')}. `) +
      (others.length === 0
        ? 'Nothing was enqueued.'
        : `Enqueued:\n${others.slice(0, MAX_SHOWN).map(shown).join('\n')}`),
    actual: others.slice(0, MAX_SHOWN).map(partsOf),
    expected: { jobId, input, window: start, config, count },
    stackStartFn: expectEnqueued,
  })
}

function partsOf({ id, jobId, state, input, window, config }: Run): object {
  return { id, jobId, state, input, window: window?.start, config }
}

function shown(run: Run): string {
  return `  ${JSON.stringify(partsOf(run))}`
}
