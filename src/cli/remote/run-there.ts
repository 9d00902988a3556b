import { systemClock } from '../../clock.ts'
import type { RunOptions } from '../../operations/runs/run-request.ts'
import { RunFailedError } from '../../operations/runs/run-failed-error.ts'
import { type Run, TERMINAL_STATES } from '../../run/run.ts'
import type { Piko } from '../../app/piko.ts'
import { printResult } from '../output/print-result.ts'
import { runData, runText } from '../output/run-text.ts'

/** How long one request waits for the end of the run. */
const WAIT = '30s'
/** How often a longer run is polled, in milliseconds. */
const LOOK_MS = 1_000

/** Requests a run on a node, and waits until any node has ended it. */
export async function runThere(
  app: Piko,
  jobId: string,
  options: RunOptions,
  { wait, json }: { readonly wait: boolean; readonly json: boolean },
): Promise<void> {
  // With a node, `wait` may be a time limit. When it is over, the node returns the current state of the run.
  let run: Run = await app.run(jobId, { ...options, ...(wait && { wait: WAIT as unknown as true }) })
  while (wait && !TERMINAL_STATES.has(run.state)) {
    await systemClock.sleep(LOOK_MS)
    run = await app.runs.show(run.id)
  }
  printResult(json, runData(run), () => runText(run, undefined))
  if (wait && run.state !== 'succeeded') throw new RunFailedError(run)
}
