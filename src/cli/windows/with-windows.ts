import type { Command } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { zoneOfJob } from '../../engine/planning/stored-job.ts'
import { PikoError } from '../../errors.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { globalOptions } from '../global-options.ts'
import { withApp } from '../with-app.ts'

/** Runs a command on the windows of a job. The command receives the time zone of the windows' dates. */
export function withWindows(
  jobId: string,
  command: Command,
  show: (app: Piko, json: boolean, zone: string) => Promise<void>,
): Promise<void> {
  return withApp(globalOptions(command), async (app, json) => {
    await show(app, json, zoneOfJob(await requireWindows(app, jobId)))
  })
}

async function requireWindows(app: Piko, jobId: string): Promise<JobRow> {
  const jobs = await app.jobs.list()
  const job = jobs.find(({ id }) => id === jobId)
  const details = { jobId, location: app.storeLocation }
  if (!job) {
    const ids = jobs.filter((row) => row.windows !== null).map(({ id }) => id)
    const known =
      ids.length > 0 ? `jobs with windows are ${ids.join(', ')}` : 'it knows jobs once a node has started with them'
    throw new PikoError('JOB_UNKNOWN', `the database knows no job "${jobId}"; ${known}`, { details })
  }
  if (job.windows === null) {
    throw new PikoError('WINDOW_UNKNOWN', `job "${jobId}" has no windows; set its option windows`, {
      details,
    })
  }
  return job
}
