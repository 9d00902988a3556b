import { counted } from '../../../counted.ts'
import { unknownJobsOf } from '../../../store/doctor/fleet-facts.ts'
import { check } from '../check.ts'
import { type Finding, namesText } from '../finding.ts'

/** Finds jobs that have something to run, but are in the code of no live node. */
export const unknownJobs = check({
  id: 'unknown-jobs',
  needs: ['fleet'],
  find: ({ fleet }) => {
    const unknown = unknownJobsOf(fleet) ?? []
    const scheduled = unknown.filter(({ isScheduled }) => isScheduled)
    const queued = unknown.filter(({ isScheduled, queued: count }) => !isScheduled && count > 0)
    const ids = (jobs: readonly { readonly id: string }[]): string[] => jobs.map(({ id }) => id)
    const findings: Finding[] = []
    if (scheduled.length > 0) {
      findings.push({
        id: 'unknown-jobs.scheduled',
        severity: 'warning',
        found: `${counted(scheduled.length, 'job')} with a schedule that no live node knows, so nothing runs: ${namesText(ids(scheduled))}`,
        remedy: `deploy the code of these jobs; if they were removed: ${scheduled
          .slice(0, 5)
          .map(({ id }) => `piko jobs pause ${id}`)
          .join('; ')}`,
      })
    }
    if (queued.length > 0) {
      const runs = queued.reduce((sum, { queued: count }) => sum + count, 0)
      findings.push({
        id: 'unknown-jobs.queued',
        severity: 'warning',
        found: `${counted(runs, 'queued run')} of jobs that no live node knows: ${namesText(ids(queued))}`,
        remedy: `deploy the code of these jobs; if they were removed: ${queued
          .slice(0, 5)
          .map(({ id }) => `piko runs cancel --job ${id}`)
          .join('; ')}`,
      })
    }
    return findings
  },
})
