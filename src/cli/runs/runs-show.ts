import { counted } from '../../counted.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleLine } from '../../visible.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { RunFailedError } from '../../operations/runs/run-failed-error.ts'
import type { RunDetails } from '../../operations/runs/runs.ts'
import type { Attempt } from '../../run/attempt.ts'
import type { Progress } from '../../run/progress.ts'
import { TERMINAL_STATES } from '../../run/run.ts'
import { examples, globalOptions } from '../global-options.ts'
import { jobZone } from '../output/local-window.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { ProgressBar } from '../output/progress-bar.ts'
import { durationText, runData, runText } from '../output/run-text.ts'
import { styleFor } from '../output/style.ts'
import { type Column, table } from '../output/table.ts'
import { parseRunId } from '../parse/parse-id.ts'
import { InterruptedError, stopSignals } from '../process/stop-signals.ts'
import { withApp } from '../with-app.ts'
import { progressData, progressLine } from './progress-data.ts'
import { stepData, stepsText } from './steps-text.ts'

/** How often the run is read, in milliseconds. A node stores progress once per second. */
const FOLLOW_MS = 500

export function addShow(runs: Command): void {
  runs
    .command('show')
    .description(
      'Shows one run with its progress, its attempts and their errors, including those before a replay, and its steps. Changes nothing.',
    )
    .argument('<run>', 'number of the run', parseRunId)
    .option('--follow', 'show the progress until the run has ended; exits with 1 if it did not succeed')
    .addHelpText(
      'after',
      examples([
        'piko runs show 17',
        'piko runs show 17 --follow',
        "piko runs show 17 --json | jq '.attempts[].error.stack'",
      ]),
    )
    .action((runId: number, { follow = false }: { follow?: boolean }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const run = follow ? await followed(app, runId, json) : await app.runs.show(runId)
        const zone = run.window && (await jobZone(app, run.jobId))
        printResult(json, dataOf(run), () => textOf(run, zone))
        if (follow && run.state !== 'succeeded') throw new RunFailedError(run)
      }),
    )
}

/** Shows a run until it ends. A signal ends only the command; the run continues. */
async function followed(app: Piko, runId: number, json: boolean): Promise<RunDetails> {
  const signals = stopSignals()
  const stop = new AbortController()
  void signals.first.then((signal) => {
    stop.abort(
      new InterruptedError(signal, `${signal}: run ${runId} continues; see piko runs show ${runId}`, { runId }),
    )
  })
  const bar = process.stderr.isTTY && !json ? new ProgressBar() : undefined
  let shown = ''
  const show = (progress: Progress): void => {
    const text = progressLine(progress)
    if (bar) bar.show({ ...progress, message: text })
    else if (!json && text !== shown) process.stdout.write(`${text}\n`)
    shown = text
  }
  try {
    for (;;) {
      stop.signal.throwIfAborted()
      const run = await app.runs.show(runId)
      if (run.progress) show(run.progress)
      if (TERMINAL_STATES.has(run.state)) return run
      await sleep(FOLLOW_MS, undefined, { signal: stop.signal }).catch(() => {})
    }
  } finally {
    bar?.hide()
    signals.release()
  }
}

function dataOf({ attempts, steps, progress, spilled, deadRows, ...run }: RunDetails): object {
  return {
    ...runData(run),
    nodeId: run.nodeId ?? null,
    runAt: run.runAt,
    batchId: run.batchId ?? null,
    progress: progressData(progress),
    attempts: attempts.map(attemptData),
    steps: steps.map(stepData),
    spilled,
    deadRows,
  }
}

function textOf(
  { attempts, steps, progress, spilled, deadRows, ...run }: RunDetails,
  zone: string | undefined,
): string {
  const lines = [
    runText(run, zone),
    ...(run.batchId === undefined ? [] : [`batch     ${run.batchId}`]),
    ...(progress ? [`progress  ${progressLine(progress)}`] : []),
    ...spilled.map(spilledLine),
    ...(deadRows > 0 ? [`dead      ${counted(deadRows, 'row')} refused; see piko sinks dead --run ${run.id}`] : []),
  ].join('\n')
  return [
    lines,
    ...(attempts.length > 0 ? [table(attemptColumns(), attempts)] : []),
    ...(steps.length > 0 ? [stepsText(steps)] : []),
  ].join('\n\n')
}

function spilledLine({ sink, host, rows, sent }: RunDetails['spilled'][number]): string {
  const rest = sent >= rows ? 'all delivered' : `${sent} delivered`
  return `spilled   ${counted(rows, 'row')} of ${visibleLine(sink)} on ${visibleLine(host)}, ${rest}`
}

function attemptData({ attempt, fence, nodeId, startedAt, finishedAt, outcome, error, phases }: Attempt): object {
  return {
    attempt,
    fence,
    nodeId: nodeId ?? null,
    startedAt: startedAt ?? null,
    finishedAt: finishedAt ?? null,
    outcome,
    error: error ?? null,
    phases,
  }
}

/** Lists the phases of an attempt, such as `queued 12ms, resources 1.2s, handler 3s`. Leaves out phases that took no time. */
function phasesText({ phases }: Attempt): string {
  return phases
    .flatMap(({ name, from, to }) => (to > from ? [`${name} ${formatMs(to.getTime() - from.getTime())}`] : []))
    .join(', ')
}

function attemptColumns(): Column<Attempt>[] {
  const { green, red, yellow, cyan } = styleFor(process.stdout)
  const colours = { succeeded: green, running: cyan, failed: red, timeout: red } as const
  return [
    { title: 'attempt', cell: ({ attempt }) => String(attempt) },
    {
      title: 'outcome',
      cell: ({ outcome }) => outcome,
      paint: (text, { outcome }) => (outcome in colours ? colours[outcome as keyof typeof colours] : yellow)(text),
    },
    { title: 'started', cell: ({ startedAt }) => instantText(startedAt) },
    { title: 'duration', cell: durationText },
    { title: 'phases', cell: phasesText },
    { title: 'node', cell: ({ nodeId }) => nodeId ?? '-' },
    { title: 'error', cell: ({ error }) => (error ? `${error.name}: ${error.message}` : '') },
  ]
}
