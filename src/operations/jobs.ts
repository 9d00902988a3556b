import { changing } from '../engine/refused-changes.ts'
import type { AnyJob, KnownJob } from '../job/job-types.ts'
import { resourcesOf } from '../job/job-resources.ts'
import type { JobActivity } from '../store/jobs/job-overview.ts'
import type { JobRow } from '../store/jobs/job-row.ts'
import type { JobFilter, JobPage } from '../store/jobs/job-store.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import type { WindowInput } from '../time/local-dates.ts'
import { optionsOf } from './call-options.ts'
import { jobIdOf } from './job-id.ts'
import { Nodes } from './nodes.ts'
import type { OverviewFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'
import { Resources } from './resources.ts'
import { type JobDependencies, type RelatedJob, relatedJobs } from './views/job-dependencies.ts'
import { declaredLimits, type JobLimits, poolUse } from './views/job-limits.ts'
import { type JobView, jobView } from './views/job-view.ts'
import { type Why, whyOf } from './why/why.ts'

/** A job with its last runs and its backlog. */
export interface JobOverview extends JobView, JobActivity {}

const LAST_RUNS = 20
const NO_ACTIVITY: JobActivity = {
  lastRuns: [],
  ...{ queued: { count: 0, isExact: true }, running: { count: 0, isExact: true }, failed: { count: 0, isExact: true } },
  ledger: null,
}

/** The maximum number of related jobs. More would not fit on a page of the dashboard, and would take too long to load. */
const MAX_RELATED = 60

/** A job as stored in the database, and its upstream jobs. */
export interface KnownJobRow extends JobRow {
  readonly dependsOn: readonly string[]
}

async function withUpstreams({ dependencies }: Reach['store'], rows: readonly JobRow[]): Promise<KnownJobRow[]> {
  const upstreams = new Map((await dependencies.list()).map((one) => [one.jobId, one.upstreams]))
  return rows.map((row) => ({ ...row, dependsOn: upstreams.get(row.id) ?? [] }))
}

/** `app.jobs`: the jobs in the database. A job is stored there when the first node starts with it. */
export class Jobs {
  readonly #reach: () => Pick<Reach, 'store' | 'registry' | 'configs' | 'resources'>

  constructor(reach: () => Pick<Reach, 'store' | 'registry' | 'configs' | 'resources'>) {
    this.#reach = reach
  }

  /** Lists all known jobs, each with its upstream jobs. */
  async list(): Promise<KnownJobRow[]> {
    const { store } = this.#reach()
    return withUpstreams(store, await store.jobs.list())
  }

  /**
   * Returns a page of the known jobs, ordered by id.
   *
   * @param filter.limit default 100
   */
  async page(filter: JobFilter = {}): Promise<JobPage<KnownJobRow>> {
    const { store } = this.#reach()
    const { jobs, next } = await store.jobs.page(optionsOf('jobs.page', filter))
    return { jobs: await withUpstreams(store, jobs), next }
  }

  /**
   * Returns a page of jobs with what an operator wants to see first: the last runs, the queue, the failures of the last 24 hours, and how
   * far the windows have progressed. Counts stop at 1,000. A page takes only a few statements, however long the history is.
   *
   * @param filter.limit default 100
   * @example
   * const { jobs } = await app.jobs.overview({ limit: 500 })
   * const failing = jobs.filter(({ failed }) => failed.count > 0)
   */
  async overview(filter: OverviewFilter = {}): Promise<JobPage<JobOverview>> {
    const { runs = LAST_RUNS, order = 'id', ...which } = optionsOf('jobs.overview', filter)
    const { store } = this.#reach()
    const { jobs, next } = await (order === 'id' ? store.jobs.page(which) : store.jobs.pageByAttention(which))
    const ids = jobs.map(({ id }) => id)
    const [activities, known] = await Promise.all([store.jobs.activities(ids, runs), withUpstreams(store, jobs)])
    return { jobs: known.map((job) => ({ ...jobView(job), ...(activities.get(job.id) ?? NO_ACTIVITY) })), next }
  }

  /** Returns one job as stored in the database. @throws PikoError `JOB_UNKNOWN` */
  async show<const J extends AnyJob>(asked: KnownJob<J>): Promise<KnownJobRow> {
    const jobId = jobIdOf('app.jobs.show', asked)
    const { store } = this.#reach()
    const job = await store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    const [known] = await withUpstreams(store, [job])
    return known ?? { ...job, dependsOn: [] }
  }

  /**
   * Pauses the schedule of a job on all nodes, within one poll. It stays paused until {@link resume}, even across deploys. Queued and
   * running runs continue, and people can still run the job.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CHANGE_REFUSED`
   */
  async pause<const J extends AnyJob>(job: KnownJob<J>): Promise<void> {
    await this.#setPaused(jobIdOf('app.jobs.pause', job), true)
  }

  /**
   * Resumes the schedule of a paused job. Missed ticks and windows are treated as after an outage: according to `misfireGraceTime` and
   * `misfire`, or `windows.catchUp`.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CHANGE_REFUSED`
   */
  async resume<const J extends AnyJob>(job: KnownJob<J>): Promise<void> {
    await this.#setPaused(jobIdOf('app.jobs.resume', job), false)
  }

  /**
   * Explains why a job ran or did not run at an instant of its schedule. Default: the oldest window that waits for other jobs; if none
   * waits, the last planned tick, or the oldest run that is due if that tick's run has ended. For a job with windows, the instant selects a
   * window: the one that starts then, otherwise the one that is due then, otherwise the one that contains the instant. The answer says
   * which one. `'2025-06-15'` means the beginning of that day in the job's time zone.
   *
   * @throws PikoError `JOB_UNKNOWN`, `USAGE`
   */
  async why<const J extends AnyJob>(job: KnownJob<J>, tick?: WindowInput): Promise<Why> {
    const jobId = jobIdOf('app.jobs.why', job)
    const { store, registry } = this.#reach()
    const nodes = () => new Nodes(this.#reach).list()
    return whyOf(store, jobId, tick, { policy: registry.find(jobId)?.policy, nodes })
  }

  /**
   * Returns a job and its upstream and downstream jobs, direct and indirect, with their newest windows. There are at most 60 jobs, the
   * nearest first.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async dependencies<const J extends AnyJob>(asked: KnownJob<J>): Promise<JobDependencies> {
    const jobId = jobIdOf('app.jobs.dependencies', asked)
    const { store } = this.#reach()
    const rows = new Map((await store.jobs.list()).map((row) => [row.id, row]))
    if (!rows.has(jobId)) throw unknownJob(jobId)
    const edges = (await store.dependencies.list()).flatMap(({ jobId: to, upstreams }) =>
      upstreams.map((from) => ({ from, to })),
    )
    const { ids, isWhole } = relatedJobs(jobId, edges, MAX_RELATED)
    const shown = new Set(ids)
    const jobs: RelatedJob[] = []
    for (const id of ids) {
      const [failed] = await store.windows.list(id, { state: 'failed', limit: 1 })
      jobs.push({
        id,
        state: rows.get(id)?.isPaused ? 'paused' : 'active',
        latest: await store.windows.newest(id),
        hasFailed: failed !== undefined,
      })
    }
    return { jobs, edges: edges.filter(({ from, to }) => shown.has(from) && shown.has(to)), isWhole }
  }

  /**
   * Returns the limits of a job's runs, and how many are running and queued now. The limits are those in this process's code.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async limits<const J extends AnyJob>(asked: KnownJob<J>): Promise<JobLimits> {
    const jobId = jobIdOf('app.jobs.limits', asked)
    const { store, registry } = this.#reach()
    const job = registry.find(jobId)
    const policy = job?.policy
    if (!policy && !(await store.jobs.find(jobId))) throw unknownJob(jobId)
    const [running, queued] = [await store.runs.open(jobId, 'running'), await store.runs.open(jobId, 'queued')]
    const rate = policy?.limits?.rate
    const names = Object.entries((job && resourcesOf(job)) ?? {}).map(([key, one]) => one.name || key)
    return {
      ...{ jobId, running: running.count, queued: queued.count, declared: policy && declaredLimits(policy) },
      rateUse: rate && (await store.waits.rateUse(jobId, rate)),
      pools: names.length === 0 ? [] : poolUse(names, await new Resources(this.#reach).list()),
    }
  }

  async #setPaused(jobId: string, isPaused: boolean): Promise<void> {
    const { store } = this.#reach()
    const setPaused = () => store.jobs.setPaused(jobId, isPaused)
    if (!(await changing(`the pause of job "${jobId}"`, 'piko_job', setPaused))) throw unknownJob(jobId)
  }
}
