import type { Command } from 'commander'
import { messageOf } from '../../errors-read.ts'
import { systemClock } from '../../clock.ts'
import { registrationOf } from '../../engine/planning/plan-job.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { ScheduleSpec } from '../../time/schedule.ts'
import { cliJobsIfAny, jobsOption } from '../cli-jobs.ts'
import { cliSettings, readOnly } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { addJobsAround } from './jobs-around.ts'
import { addJobsOverview } from './jobs-overview.ts'
import { addJobsPause } from './jobs-pause.ts'
import { addJobsTypes } from './jobs-types.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { scheduleText } from '../output/schedule-text.ts'
import { isOverridden, storedJob } from '../../engine/planning/stored-job.ts'
import { styleFor } from '../output/style.ts'
import { type Column, fieldsText } from '../output/table.ts'
import { addWhy } from '../schedules/why.ts'
import { unknownJob } from '../../store/jobs/unknown-job.ts'
import { withAppOn } from '../with-app.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { remoteTarget } from '../remote/target.ts'

/** `new`: no node has started with the job yet. `no code`: the job is in the database, but not in the project's files. */
type JobState = 'active' | 'paused' | 'new' | 'no code'

interface ListedJob {
  readonly id: string
  readonly schedule: ScheduleSpec | null
  /** Whether the schedule was set at run time and overrides the one in code. */
  readonly isOverridden: boolean
  /** Why the edited schedule can't be read (`schedule` then stays in force), or why no tick can be planned. */
  readonly problem: string | null
  readonly nextTick: Date | null
  readonly windows: unknown
  readonly state: JobState
  readonly description: string | null
}

export function addJobs(program: Command): void {
  const jobs = program
    .command('jobs')
    .summary('list, pause, resume and explain jobs, and generate types for their ids')
    .description(
      'Lists jobs, pauses and resumes them, explains why they did or did not run, and generates types for their ids.',
    )
  jobs.addHelpText('after', examples(['piko jobs list', 'piko jobs pause sync_orders', 'piko jobs resume sync_orders']))
  addJobsOverview(jobs)
  addJobsPause(jobs)
  addJobsAround(jobs)
  addJobsTypes(jobs)
  addWhy(jobs)
  addList(jobs, {
    noun: 'jobs',
    description:
      'Lists the jobs of the project and of the database. Needs no job files. Changes nothing. ' +
      'States: active, paused, new (no node has started with it yet), no code (in the database only).',
    examples: ['piko jobs list', 'piko jobs list --json | jq \'.jobs[] | select(.state == "paused") | .id\''],
    columns,
    find: listed,
  }).addOption(jobsOption())
  jobs
    .command('show')
    .description('Shows one job of the project or of the database. Changes nothing.')
    .argument('<job>', 'id of the job')
    .addOption(jobsOption())
    .addHelpText('after', examples(['piko jobs show sync_orders', 'piko jobs show sync_orders --json']))
    .action((jobId: string, options: { jobs?: string[] }, command: Command) =>
      show(jobId, options, globalOptions(command)),
    )
}

async function show(jobId: string, options: { jobs?: string[] }, globals: GlobalOptions): Promise<void> {
  const job = (await listed(options, globals)).find(({ id }) => id === jobId)
  if (!job) throw unknownJob(jobId)
  printResult(globals.json, { job }, () => fieldsText(columns(), job))
}

/** Lists the jobs of the project and of the database, sorted by id. */
async function listed(options: { jobs?: string[] }, globals: GlobalOptions): Promise<ListedJob[]> {
  const settings = cliSettings(globals)
  const registry = remoteTarget.isSet ? undefined : await cliJobsIfAny(settings, options.jobs)
  const rows = await withAppOn(readOnly(settings), (app) => app.jobs.list())
  const byId = new Map(rows.map((row) => [row.id, row]))
  const now = new Date(systemClock.now())
  return [
    ...[...(registry ?? [])].map((job) => known(job, byId.get(job.id), now)),
    ...rows.filter(({ id }) => !registry?.find(id)).map((row) => orphan(row, registry !== undefined)),
  ].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function known(job: JobDefinition, row: JobRow | undefined, now: Date): ListedJob {
  const { windows = null } = job.policy
  const isSet = row !== undefined && isOverridden(row)
  const { schedule, problem: edit } = isSet ? storedJob(row) : { schedule: job.policy.schedule ?? null, problem: null }
  const { nextTick, problem = edit } = row ? { nextTick: row.nextTick } : firstTick(job, now)
  const state = !row ? 'new' : row.isPaused ? 'paused' : 'active'
  return {
    ...{ id: job.id, schedule, isOverridden: isSet, problem, nextTick: nextTick ?? null },
    ...{ windows, state, description: job.description ?? null },
  }
}

/**
 * Returns the first tick, or the problem that prevents it. A calendar's function is user code, and its error must not hide the other jobs.
 */
function firstTick(job: JobDefinition, now: Date): { nextTick?: Date | undefined; problem?: string | undefined } {
  try {
    return { nextTick: registrationOf(job, now).begin.nextTick }
  } catch (thrown) {
    return { problem: messageOf(thrown) }
  }
}

/**
 * Lists a job that only the database knows.
 *
 * @param hasCode whether the project's code was loaded; only then is the job known to be missing in the code
 */
function orphan(row: JobRow, hasCode: boolean): ListedJob {
  return {
    id: row.id,
    ...storedJob(row),
    isOverridden: isOverridden(row),
    nextTick: row.nextTick ?? null,
    windows: row.windows === null ? null : JSON.parse(row.windows),
    state: hasCode ? 'no code' : row.isPaused ? 'paused' : 'active',
    description: row.description ?? null,
  }
}

function columns(): Column<ListedJob>[] {
  const { green, yellow, cyan, gray } = styleFor(process.stdout)
  const colours = { active: green, paused: yellow, new: cyan, 'no code': gray } as const
  return [
    { title: 'job', cell: ({ id }) => id },
    {
      title: 'schedule',
      cell: ({ schedule, isOverridden, problem }) =>
        `${scheduleText(schedule ?? undefined)}${problem === null ? (isOverridden ? ' (set)' : '') : isOverridden ? ' (invalid edit)' : " (can't be planned)"}`,
    },
    { title: 'zone', cell: ({ schedule }) => (schedule?.kind === 'cron' ? schedule.timezone : '-') },
    { title: 'next tick', cell: ({ nextTick }) => instantText(nextTick) },
    { title: 'windows', cell: ({ windows }) => (windows === null ? '-' : 'yes') },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => colours[state](text) },
    { title: 'description', cell: ({ description }) => description ?? '' },
  ]
}
