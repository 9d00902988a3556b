import { PikoError } from '../errors.ts'
import { type Store } from '../store/store.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import { Schedule, scheduleJson, type ScheduleSpec } from '../time/schedule.ts'

/** Schedules that people set at run time, in place of what the code says. They count within a poll, and a deploy leaves them alone. */
export class ScheduleOverride {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * @param schedule null: the job runs only when somebody asks
   * @throws PikoError `JOB_UNKNOWN`, `SCHEDULE_INVALID`
   */
  async set(jobId: string, schedule: ScheduleSpec | null): Promise<void> {
    this.#store.database.assertOutside('app.setSchedule')
    const job = await this.#store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    if (schedule) Schedule.of(schedule, jobId)
    if (schedule?.kind === 'at' && job.windows !== null) {
      throw new PikoError('SCHEDULE_INVALID', `job "${jobId}" has windows: they need cron or every, not at`, {
        details: { jobId, at: schedule.at },
      })
    }
    await this.#store.jobs.setSchedule(jobId, schedule && scheduleJson(schedule))
  }

  /** The code's schedule counts again. @throws PikoError `JOB_UNKNOWN` */
  async clear(jobId: string): Promise<void> {
    this.#store.database.assertOutside('app.clearSchedule')
    const job = await this.#store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    await this.#store.jobs.setSchedule(jobId, job.codeSchedule)
  }
}
