import { changing } from '../engine/refused-changes.ts'
import type { AnyJob, KnownJob } from '../job/job-types.ts'
import type { JobRow } from '../store/jobs/job-row.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import type { WindowInput } from '../time/local-dates.ts'
import { jobIdOf } from './job-id.ts'
import type { Reach } from './reach.ts'
import { type Why, whyOf } from './why.ts'

/** Jobs that the database knows: `app.jobs`. A job becomes known when the first node starts with it. */
export class Jobs {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /** All known jobs. */
  async list(): Promise<JobRow[]> {
    return this.#reach().store.jobs.list()
  }

  /** One job as stored in the database. @throws PikoError `JOB_UNKNOWN` */
  async show<const J extends AnyJob>(asked: KnownJob<J>): Promise<JobRow> {
    const jobId = jobIdOf('app.jobs.show', asked)
    const job = await this.#reach().store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    return job
  }

  /**
   * Pauses the schedule of a job on all nodes, within one poll and until {@link resume}, even across deploys. Queued and running runs
   * continue, and the job can still be run by hand.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async pause<const J extends AnyJob>(job: KnownJob<J>): Promise<void> {
    await this.#setPaused(jobIdOf('app.jobs.pause', job), true)
  }

  /**
   * Continues the schedule of a paused job. Piko treats missed ticks and windows as it does after an outage: according to
   * `misfireGraceTime` and `misfire`, or `windows.catchUp`.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async resume<const J extends AnyJob>(job: KnownJob<J>): Promise<void> {
    await this.#setPaused(jobIdOf('app.jobs.resume', job), false)
  }

  /**
   * Explains why a job did or did not run at an instant of its schedule; without one, at the last planned tick. For a job with windows, the
   * instant selects the window that starts then, otherwise the one that is due then, otherwise the one around it. The answer says which.
   * `'2025-06-15'` means the beginning of that day in the job's zone.
   *
   * @throws PikoError `JOB_UNKNOWN`, `USAGE`
   */
  async why<const J extends AnyJob>(job: KnownJob<J>, tick?: WindowInput): Promise<Why> {
    return whyOf(this.#reach().store, jobIdOf('app.jobs.why', job), tick)
  }

  async #setPaused(jobId: string, isPaused: boolean): Promise<void> {
    const { store } = this.#reach()
    const setPaused = () => store.jobs.setPaused(jobId, isPaused)
    if (!(await changing(`the pause of job "${jobId}"`, 'piko_job', setPaused))) throw unknownJob(jobId)
  }
}
