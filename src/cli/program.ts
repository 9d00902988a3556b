import { Command } from 'commander'
import { chooseTarget } from './remote/choose-target.ts'
import { addGlobalOptions, examples, globalOptions } from './global-options.ts'
import { addAudit } from './access/audit.ts'
import { addTokens } from './access/tokens.ts'
import { addBackfill } from './backfills/backfill.ts'
import { addBatches } from './batches/batches.ts'
import { addCache } from './cache/cache.ts'
import { addCompletion } from './completion.ts'
import { addConfig } from './configs/config.ts'
import { addCrawls } from './crawls/crawls.ts'
import { addDashboard } from './dashboard/dashboard.ts'
import { addGraph } from './jobs/graph.ts'
import { addInit } from './init/init.ts'
import { addItems } from './items/items.ts'
import { addJobs } from './jobs/jobs-list.ts'
import { addLimits } from './limits/limits.ts'
import { addLive } from './live/live.ts'
import { addLocks } from './locks/locks.ts'
import { addMigrate } from './migrate.ts'
import { addNodes } from './nodes/nodes.ts'
import { addNotify } from './notify/notify.ts'
import { addResources } from './resources/resources.ts'
import { addRun } from './runs/run.ts'
import { addRuns } from './runs/runs.ts'
import { addSchedule } from './schedules/schedule.ts'
import { addShared } from './shared/shared.ts'
import { addServices } from './services/services.ts'
import { addSinks } from './sinks/sinks.ts'
import { packageVersion } from '../package-version.ts'
import { noteReason } from './process/command-actor.ts'
import { addAttach } from './process/attach.ts'
import { addDev } from './process/dev.ts'
import { addDoctor } from './process/doctor.ts'
import { addStart } from './process/start.ts'
import { addWhy } from './schedules/why.ts'
import { addWindows } from './windows/windows.ts'

const WATCH = `
Commands that only show something accept --watch: they repeat every 2s, or at the interval of --watch=10s.`

const EXIT_CODES = `
Exit codes:
  0  done
  1  the work failed: a run did not succeed, or an unexpected error occurred
  2  the command could not begin: wrong usage, settings, jobs or schema, or an unreachable database
  Each error has a code, such as JOB_UNKNOWN; docs/errors.md says how to fix it.`

/** The commands by the first word of the command line. Only the requested one is created, because each has many help texts and options. */
const COMMANDS: Readonly<Record<string, (program: Command) => void>> = {
  init: addInit,
  dev: addDev,
  start: addStart,
  attach: addAttach,
  run: addRun,
  runs: addRuns,
  jobs: addJobs,
  schedules: addSchedule,
  configs: addConfig,
  windows: addWindows,
  backfills: addBackfill,
  batches: addBatches,
  items: addItems,
  crawls: addCrawls,
  nodes: addNodes,
  resources: addResources,
  services: addServices,
  live: addLive,
  limits: addLimits,
  locks: addLocks,
  shared: addShared,
  cache: addCache,
  sinks: addSinks,
  notify: addNotify,
  tokens: addTokens,
  audit: addAudit,
  why: addWhy,
  migrate: addMigrate,
  doctor: addDoctor,
  graph: addGraph,
  dashboard: addDashboard,
}

/**
 * Creates the command line with all commands. Commands import the engine only when they need it, so help and usage errors appear
 * immediately. Parsing throws where commander would exit the process, and prints no errors.
 *
 * @param options.json prints the version as JSON, and does not print the help to standard error if the command is missing
 * @param options.first the first word of the command line: if it names a command, only that one is created. Default: all
 */
export function createProgram(options: ProgramOptions): Command {
  const program = programOf(options)
  addCompletion(program, () => programOf({ json: options.json }))
  return program
}

interface ProgramOptions {
  readonly json: boolean
  readonly first?: string | undefined
}

function programOf({ json, first }: ProgramOptions): Command {
  const program = new Command('piko')
    .description('A data-oriented job orchestrator.')
    .version(json ? JSON.stringify({ version: packageVersion() }) : packageVersion(), '--version', 'show the version')
    .exitOverride()
    .configureOutput({ outputError: () => {}, ...(json && { writeErr: () => {} }) })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      examples([
        'piko start',
        'piko jobs list',
        'piko run hello',
        'piko windows summary sync_orders',
        'piko migrate status',
      ]),
    )
    .addHelpText('after', WATCH)
    .addHelpText('after', EXIT_CODES)
  addGlobalOptions(program)
  program.hook('preAction', (_program, command) => {
    noteReason(globalOptions(command).reason)
    chooseTarget(command)
  })
  const only = first !== undefined && Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  for (const add of only ? [only] : Object.values(COMMANDS)) add(program)
  return program
}
