import { type Command } from 'commander'
import { type Piko } from '../engine/app.ts'
import { cliJobs, jobsOption } from './cli-jobs.ts'
import { cliSettings } from './cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from './global-options.ts'
import { stopSignals } from './stop-signals.ts'

interface StartOptions {
  readonly http: boolean
  readonly jobs?: string[]
}

export function addStart(program: Command): void {
  program
    .command('start')
    .summary('plan and run the jobs until a signal stops it')
    .description(
      'Plans and runs the jobs, and serves health and metrics, until SIGINT or SIGTERM. ' +
        'Then it takes no new runs, lets those under way end ([piko] shutdown_timeout) and exits with 0. ' +
        'A second signal ends it at once.',
    )
    .addOption(jobsOption())
    .option('--no-http', 'serve no health and metrics ([http] enabled = false)')
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
  const [{ Piko }, { serveHttp }] = await Promise.all([import('../engine/app.ts'), import('../http/serve.ts')])
  const app = new Piko({ jobs: [...registry] })
  const signals = stopSignals()
  // First: a port that is taken stops the start before the database is touched, and probes see `starting`.
  const server = http && settings.http.enabled ? await serveHttp(app, settings.http) : undefined
  try {
    await app.start()
    app.log.info(
      { url: server?.url, store: app.storeLocation },
      server ? `listening on ${server.url}` : 'started without HTTP',
    )
    if (globals.json) printStarted(app, server?.url)
    const signal = await signals.first
    app.log.info(`${signal}: stopping; runs under way may end; a second signal stops at once`)
  } finally {
    await app.stop()
    await server?.close()
    signals.release()
  }
}

function printStarted(app: Piko, url: string | undefined): void {
  const started = {
    state: 'started',
    pid: process.pid,
    url: url ?? null,
    store: app.storeLocation,
    jobs: app.registry.ids,
  }
  process.stdout.write(`${JSON.stringify(started)}\n`)
}
