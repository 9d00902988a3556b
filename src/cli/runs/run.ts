import type { Command } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { RunFailedError } from '../../operations/runs/run-failed-error.ts'
import { type Run, TERMINAL_STATES } from '../../run/run.ts'
import type { Settings } from '../../settings/settings.ts'
import type { AppLogger } from '../../telemetry/log.ts'
import { zoneOfDefinition } from '../../engine/planning/plan-job.ts'
import { say } from '../../say.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { projectConfig } from '../project/project-config.ts'
import { cliSettings } from '../cli-settings.ts'
import { commandOutput } from '../output/command-output.ts'
import { asCommand } from '../process/command-actor.ts'
import { exitGuard } from '../process/exit-guard.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { parseJson } from '../parse/parse-json.ts'
import { printResult } from '../output/print-result.ts'
import { ProgressBar } from '../output/progress-bar.ts'
import { runData, runText } from '../output/run-text.ts'
import type { StopSignal } from '../../service/process-signals.ts'
import { InterruptedError, stopSignals } from '../process/stop-signals.ts'
import { remoteTarget } from '../remote/target.ts'
import { runThere } from '../remote/run-there.ts'
import type { RunOptions } from '../../operations/runs/run-request.ts'
import { withApp } from '../with-app.ts'

/** The terminal on which the command shows what it is waiting for. */
interface Terminal {
  readonly bar: ProgressBar | undefined
  readonly globals: GlobalOptions
}

interface RunCommandOptions {
  readonly config?: unknown
  readonly input?: unknown
  readonly window?: Date | string
  readonly wait: boolean
  readonly jobs?: string[]
}

export function addRun(program: Command): void {
  program
    .command('run')
    .summary('run a job once, now')
    .description(
      'Queues one run of a job, executes it here unless another node claims it first, waits for its end and prints it. ' +
        'Exits with 1 if the run did not succeed. Executes no other runs.',
    )
    .argument('<job>', 'id of the job')
    .option('--config <json>', "overrides of the job's config", parseJson)
    .option('--input <json>', 'value of ctx.input', parseJson)
    .option(
      '--window <start>',
      "start of the window to run: an instant, or a date in the job's time zone; only for a job with windows",
      parseMoment,
    )
    .option('--no-wait', 'only queue the run; a running node executes it')
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko run hello',
        `piko run sync_orders --config '{"shop":"us"}'`,
        'piko run sync_orders --window 2026-01-01T00:00:00Z',
        'piko run daily_report --window 2025-06-15',
        `piko run import_file --input '"orders.csv"' --no-wait`,
        'piko run hello --json | jq .output',
      ]),
    )
    .action((jobId: string, options: RunCommandOptions, command: Command) =>
      run(jobId, options, globalOptions(command)),
    )
}

async function run(jobId: string, options: RunCommandOptions, globals: GlobalOptions): Promise<void> {
  const remote = await remoteTarget.get()
  if (remote) return runThere(remote.app, jobId, requestOf(options), { ...globals, wait: options.wait })
  const settings = cliSettings(globals)
  const registry = await cliJobs(settings, options.jobs)
  const { Piko } = await import('../../app/piko.ts')
  const bar = process.stderr.isTTY && !globals.json ? new ProgressBar() : undefined
  const { setup, ...config } = await projectConfig()
  const app = new Piko({
    ...config,
    jobs: [...registry],
    only: [jobId],
    onlyOwn: true,
    plan: false,
    execute: options.wait,
    ...(bar && { logger: await loggerAbove(bar, settings) }),
  })
  await setup?.(app)
  exitGuard.watch(app)
  commandOutput.stake = 'result'
  const signals = stopSignals()
  try {
    await app.start()
    const queued = await asCommand(() => app.run(jobId, requestOf(options)))
    const ended = options.wait ? await watch(app, queued, signals.first, { bar, globals }) : queued
    const job = registry.find(jobId)
    const zone = job && zoneOfDefinition(job)
    printResult(globals.json, runData(ended), () => runText(ended, zone))
    if (options.wait && ended.state !== 'succeeded') throw new RunFailedError(ended)
  } finally {
    await app.stop()
    signals.release()
  }
}

function requestOf({ config, input, window }: RunCommandOptions): RunOptions {
  return {
    ...(config !== undefined && { config }),
    ...(input !== undefined && { input }),
    ...(window !== undefined && { window }),
  }
}

async function loggerAbove(bar: ProgressBar, { piko }: Settings): Promise<AppLogger> {
  const { createLogger } = await import('../../telemetry/log.ts')
  return createLogger({ level: piko.logLevel, json: piko.logJson, name: piko.name, stream: bar })
}

/**
 * Waits until the run has ended. A signal stops the app; the app then waits for a run in progress, or returns it to the queue.
 *
 * @throws InterruptedError if the app has stopped before the run ended
 */
async function watch(app: Piko, queued: Run, signalled: Promise<StopSignal>, { bar, globals }: Terminal): Promise<Run> {
  const ended = Promise.withResolvers<Run>()
  const unsubscribe = app.events.on('run.progress', (progress) => {
    if (progress.runId === queued.id) bar?.show(progress)
  })
  let isSignalled = false
  void signalled
    .then(async (signal) => {
      isSignalled = true
      const words = `${signal}: waiting for the run in progress; a second signal stops immediately`
      if (bar) bar.write(`${words}\n`)
      else say(words)
      // If this stop fails, the command's own stop reports the error later.
      await app.stop().catch(() => {})
      // The run may have ended during the stop. The stopped app can't read it any more, so another app does. If this fails, the command
      // reports only the signal.
      const run = await withApp(globals, (reader) => reader.runs.show(queued.id)).catch(() => undefined)
      if (run && TERMINAL_STATES.has(run.state)) return ended.resolve(run)
      const message = `${signal} before run ${queued.id} ended; it continues, or stays in the queue for another node`
      ended.reject(new InterruptedError(signal, message, { runId: queued.id }))
    })
    .catch(ended.reject)
  void app.waitFor(queued.id).then(ended.resolve, (error: unknown) => {
    // An app that stops rejects this wait even though the run has not ended. So after a signal, this rejection is ignored.
    if (!isSignalled) ended.reject(error)
  })
  try {
    return await ended.promise
  } finally {
    unsubscribe()
    bar?.hide()
  }
}
