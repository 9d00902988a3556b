import { Option } from 'commander'
import { discoverJobs } from '../app/discovery/discover.ts'
import { jobGlobs } from '../app/discovery/job-globs.ts'
import { isPikoError, PikoError } from '../errors.ts'
import { projectConfig } from './project/project-config.ts'
import type { JobModule } from '../job/job-source.ts'
import { JobRegistry } from '../job/registry.ts'
import { remoteTarget } from './remote/target.ts'
import type { Settings } from '../settings/settings.ts'

export function jobsOption(): Option {
  const fallback = '[piko] jobs, otherwise jobs.ts, jobs/**/*.ts and src/jobs/**/*.ts (or .mts, .js, .mjs)'
  return new Option('--jobs <glob...>', `files that define jobs; default: ${fallback}`)
}

/**
 * Loads the jobs of the project. A directory that has only a `jobs.ts` needs no settings.
 *
 * @param asked the globs of `--jobs`; undefined: the globs of the settings
 * @throws PikoError `JOBS_NOT_FOUND`, `JOB_LOAD_FAILED`, `JOB_DUPLICATE`, `JOB_INVALID`, `SCHEDULE_INVALID`
 */
export async function cliJobs(settings: Settings, asked: readonly string[] | undefined): Promise<JobRegistry> {
  return (await cliJobModules(settings, asked)).registry
}

/**
 * Like {@link cliJobs}, but returns undefined if neither `--jobs` nor the settings name globs and the folder has no job files. An operator
 * often works in such a folder.
 */
export async function cliJobsIfAny(
  settings: Settings,
  asked: readonly string[] | undefined,
): Promise<JobRegistry | undefined> {
  try {
    return await cliJobs(settings, asked)
  } catch (error) {
    const isNamed = asked !== undefined || settings.piko.jobs.length > 0
    if (isNamed || !isPikoError(error, 'JOBS_NOT_FOUND') || error.details['files'] !== undefined) throw error
    return undefined
  }
}

/** Like {@link cliJobs}, but also returns the modules that define the jobs. */
export async function cliJobModules(
  settings: Settings,
  asked: readonly string[] | undefined,
): Promise<{ readonly registry: JobRegistry; readonly modules: readonly JobModule[] }> {
  // The remote node knows the jobs, so no files are loaded.
  if (remoteTarget.isSet) return { registry: JobRegistry.of([]), modules: [] }
  // `--jobs` takes precedence over the jobs of piko.config.ts, and these over the globs of the settings.
  const { jobs } = asked ? {} : await projectConfig()
  if (jobs !== undefined) return { registry: JobRegistry.of(jobs), modules: [] }
  const globs = asked ?? jobGlobs(settings)
  const modules = await discoverJobs(globs, process.cwd()).catch((error: unknown) => {
    if (isPikoError(error, 'JOBS_NOT_FOUND')) throw notFound(`${error.message}`, error.details)
    throw error
  })
  const registry = JobRegistry.of(modules)
  if (registry.size > 0) return { registry, modules }
  const files = modules.map(({ file }) => file)
  throw notFound(`no job is exported by ${files.slice(0, 10).join(', ')}${files.length > 10 ? ' …' : ''}`, {
    globs,
    files,
  })
}

function notFound(problem: string, details: Readonly<Record<string, unknown>>): PikoError {
  const advice =
    "export one, such as `export const hello = defineJob({ id: 'hello', every: '10s' }, () => {})` in jobs.ts"
  return new PikoError('JOBS_NOT_FOUND', `${problem}; ${advice}, or name the files with [piko] jobs or --jobs`, {
    details: { ...details },
  })
}
