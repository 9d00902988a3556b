import type { JobModule } from '../../job/job-source.ts'
import { jobIdsIn, type JobRegistry } from '../../job/registry.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleLine } from '../../visible.ts'
import { instantText } from '../output/print-result.ts'

/** The jobs of one file, in the order in which they were found. */
export interface FoundJobs {
  readonly file: string
  readonly jobs: readonly string[]
}

/** What a process shows after its start. */
export interface BannerFacts {
  readonly version: string
  readonly store: string
  /** Milliseconds since the process began. */
  readonly startedMs: number
  /** The URL of the HTTP server; undefined without HTTP. */
  readonly url: string | undefined
  readonly hasApi: boolean
  readonly found: readonly FoundJobs[]
  /** The next ticks of jobs that are not paused, earliest first. */
  readonly next: readonly NextTick[]
}

export interface NextTick {
  readonly jobId: string
  readonly at: Date
}

const MAX_FILES = 10
const MAX_JOBS = 5
const MAX_TICKS = 3

/** Returns the lines that people read. */
export function bannerText({ version, store, startedMs, url, hasApi, found, next }: BannerFacts): string {
  const rows = [
    ['store', store],
    ...found.slice(0, MAX_FILES).map(({ file, jobs }) => ['jobs', `${file}: ${some(jobs)}`]),
    ...(found.length > MAX_FILES ? [['', `… and ${found.length - MAX_FILES} more files`]] : []),
    ...next.slice(0, MAX_TICKS).map(({ jobId, at }) => ['next', `${instantText(at)} ${jobId}`]),
    ['url', url === undefined ? 'none (without HTTP)' : `${url} (${hasApi ? 'dashboard, API, ' : ''}health, metrics)`],
  ]
  const lines = rows.map(([title = '', text = '']) => `  ${title.padEnd(5)}  ${visibleLine(text)}`)
  return [`piko ${version} started in ${formatMs(startedMs)}`, ...lines].join('\n')
}

/** Returns the facts as fields of a log line. */
export function bannerFields({ version, store, startedMs, url, found, next }: BannerFacts): Record<string, unknown> {
  return {
    ...{ version, url, store, started_ms: Math.round(startedMs) },
    jobs: Object.fromEntries(found.slice(0, MAX_FILES).map(({ file, jobs }) => [file, jobs.slice(0, MAX_JOBS)])),
    job_count: found.reduce((sum, { jobs }) => sum + jobs.length, 0),
    next_ticks: Object.fromEntries(next.slice(0, MAX_TICKS).map(({ jobId, at }) => [jobId, at.toISOString()])),
  }
}

function some(jobs: readonly string[]): string {
  const more = jobs.length > MAX_JOBS ? ` … and ${jobs.length - MAX_JOBS} more` : ''
  return jobs.slice(0, MAX_JOBS).join(', ') + more
}

/** Groups the jobs of the registry by the file that defines them. Jobs without a file, such as those of `piko.config.ts`, come last. */
export function foundJobs(registry: JobRegistry, modules: readonly JobModule[]): FoundJobs[] {
  const found = modules.map((module) => ({ file: module.file, jobs: jobIdsIn(module) }))
  const named = new Set(found.flatMap(({ jobs }) => jobs))
  const others = registry.ids.filter((id) => !named.has(id))
  return [
    ...found.filter(({ jobs }) => jobs.length > 0),
    ...(others.length > 0 ? [{ file: 'piko.config', jobs: others }] : []),
  ]
}

/** Returns the next ticks of jobs that are not paused, earliest first. */
export function nextTicks(rows: readonly JobRow[]): NextTick[] {
  return rows
    .flatMap(({ id, isPaused, nextTick }) => (isPaused || !nextTick ? [] : [{ jobId: id, at: nextTick }]))
    .sort((a, b) => a.at.getTime() - b.at.getTime())
}
