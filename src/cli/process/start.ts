import { type Command, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { messageOf } from '../../errors-read.ts'
import { toError } from '../../errors.ts'
import { say } from '../../say.ts'
import type { Settings, SettingsOverrides } from '../../settings/settings.ts'
import { visibleJson } from '../../visible.ts'
import { cliJobModules, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { commandOutput } from '../output/command-output.ts'
import { packageVersion } from '../../package-version.ts'
import { projectConfig } from '../project/project-config.ts'
import { bannerFields, bannerText, type FoundJobs, foundJobs, nextTicks } from './banner.ts'
import { endWithNpm, endWithParent } from './end-with-parent.ts'
import { exitGuard } from './exit-guard.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'

interface StartOptions {
  readonly http: boolean
  readonly jobs?: string[]
  /** Which store `piko dev` uses: the embedded one, or the database of the settings. Undefined for `piko start`. */
  readonly dev?: 'embedded' | 'database'
}

export function addStart(program: Command): void {
  program
    .command('start')
    .summary('plan and run the jobs until a signal stops the process')
    .description(
      'Plans and runs the jobs, and serves the API, health and metrics, until SIGINT or SIGTERM. ' +
        'Then it claims no new runs, waits for runs in progress ([piko] shutdown_timeout) and exits with 0. ' +
        'A second signal ends it immediately. Options of the app, such as services, are in piko.config.ts, if that exists.',
    )
    .addOption(jobsOption())
    .option('--no-http', 'do not start the HTTP server ([http] enabled = false)')
    .addOption(new Option('--dev <store>', 'used by piko dev').choices(['embedded', 'database']).hideHelp())
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

async function start({ http, jobs, dev }: StartOptions, globals: GlobalOptions): Promise<void> {
  const overrides = dev && overridesOf(dev)
  const settings = cliSettings(globals, overrides)
  if (dev) endWithParent()
  else endWithNpm()
  const { registry, modules } = await cliJobModules(settings, jobs)
  const { setup, ...config } = await projectConfig()
  const [{ Piko }, { HttpService }, { AppWorker }] = await Promise.all([
    import('../../app/piko.ts'),
    import('../../http/http-service.ts'),
    import('./app-worker.ts'),
  ])
  const app = new Piko({ ...config, jobs: [...registry], ...(overrides && { settings: overrides }) })
  await setup?.(app)
  exitGuard.watch(app)
  commandOutput.stake = 'notice'
  // HTTP starts first. So the command fails early if its port is in use, and health checks already see `starting`.
  const server =
    http && settings.http.enabled ? app.addService(new HttpService(app, settings.http), { first: true }) : undefined
  const worker = new AppWorker(app, settings, () => {
    if (globals.json) printStarted(app, server?.url)
    void introduce(app, settings, {
      url: server?.url,
      found: foundJobs(registry, modules),
      isPlain: !settings.piko.logJson && config.logger === undefined,
    })
  })
  const code = await worker.run()
  if (worker.startError !== undefined) throw worker.startError
  // After a stop that was not clean (a second signal, the deadline or a crash), open handles must not keep the process alive.
  if (code === 0) return
  exitGuard.allow()
  process.exit(code)
}

/** Returns the settings of `piko dev`: a readable log, a short time to stop, and the embedded store unless the user wants the database. */
function overridesOf(dev: NonNullable<StartOptions['dev']>): SettingsOverrides {
  return {
    piko: { log_json: false, shutdown_timeout: '5s' },
    ...(dev === 'embedded' && { mysql: { dsn: '' } }),
  }
}

/** Shows that the app has started: some lines for people, or one log line. */
async function introduce(
  app: Piko,
  { http }: Settings,
  { url, found, isPlain }: { url: string | undefined; found: readonly FoundJobs[]; isPlain: boolean },
): Promise<void> {
  const startedMs = performance.now()
  const words = url === undefined ? 'started without HTTP' : `listening on ${url}`
  try {
    const next = nextTicks(await app.jobs.list())
    const facts = { version: packageVersion(), store: app.storeLocation, startedMs, url, hasApi: http.api, found, next }
    if (isPlain) say(bannerText(facts))
    else app.log.info(bannerFields(facts), words)
  } catch (thrown) {
    // The app runs, but the facts could not be read: the database may be unavailable, or a signal may already be stopping the app.
    app.log.info({ url, store: app.storeLocation, problem: messageOf(toError(thrown)) }, words)
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
  process.stdout.write(`${visibleJson(started)}\n`)
}
