import type { Command } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { visibleJson } from '../../visible.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { commandOutput } from '../output/command-output.ts'
import { exitGuard } from './exit-guard.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'

interface StartOptions {
  readonly http: boolean
  readonly jobs?: string[]
}

export function addStart(program: Command): void {
  program
    .command('start')
    .summary('plan and run the jobs until a signal stops the process')
    .description(
      'Plans and runs the jobs, and serves health and metrics, until SIGINT or SIGTERM. ' +
        'Then it claims no new runs, waits for runs in progress ([piko] shutdown_timeout) and exits with 0. ' +
        'A second signal ends it immediately.',
    )
    .addOption(jobsOption())
    .option('--no-http', 'do not serve health and metrics ([http] enabled = false)')
    .addHelpText(
      'after',
      examples([
        'piko start',
        "piko start --jobs 'pipelines/**/*.ts'",
        'PIKO_HTTP__PORT=8080 PIKO_LOG_JSON=true piko start',
        'PIKO_MYSQL__DSN=mysql://piko:secret@db/piko piko start',
      ]),
    )
    .action((options: StartOptions, command: Command) => start(options, globalOptions(command)))
}

async function start({ http, jobs }: StartOptions, globals: GlobalOptions): Promise<void> {
  const settings = cliSettings(globals)
  const registry = await cliJobs(settings, jobs)
  const [{ Piko }, { HttpService }, { AppWorker }] = await Promise.all([
    import('../../app/piko.ts'),
    import('../../http/http-service.ts'),
    import('./app-worker.ts'),
  ])
  const app = new Piko({ jobs: [...registry] })
  exitGuard.watch(app)
  commandOutput.stake = 'notice'
  // HTTP starts first, so a port in use fails the start before the database is touched, and probes see `starting`.
  const server =
    http && settings.http.enabled ? app.addService(new HttpService(app, settings.http), { first: true }) : undefined
  const worker = new AppWorker(app, settings, () => {
    app.log.info(
      { url: server?.url, store: app.storeLocation },
      server?.url ? `listening on ${server.url}` : 'started without HTTP',
    )
    if (globals.json) printStarted(app, server?.url)
  })
  const code = await worker.run()
  if (worker.startError !== undefined) throw worker.startError
  // A second signal, the deadline or a crash has ended the stop early. What is still open must not keep the process alive.
  if (code === 0) return
  exitGuard.allow()
  process.exit(code)
}

function printStarted(app: Piko, url: string | undefined): void {
  const started = {
    state: 'started',
    pid: process.pid,
    url: url ?? null,
    store: app.storeLocation,
    jobs: app.registry.ids,
  }
  process.stdout.write(`${visibleJson(started)}\n`)
}
