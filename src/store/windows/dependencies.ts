import type { Transaction } from 'kysely'
import type { OnUpstreamChange } from '../../job/upstream.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'
import { soundRows } from '../values/broken-row.ts'

/** The registered dependencies of a job. */
export interface Dependencies {
  readonly jobId: string
  readonly upstreams: readonly string[]
  readonly onChange: OnUpstreamChange
}

/** Lists all registered dependencies, by job. */
export async function listDependencies({ db, dialect, broken }: Database): Promise<Dependencies[]> {
  const stored = await db.selectFrom('piko_dependency').selectAll().orderBy('job_id').execute()
  const rows = soundRows(dialect, 'piko_dependency', stored, broken.report)
  return [...Map.groupBy(rows, (row) => row.job_id)].map(([jobId, ofJob]) => ({
    jobId,
    upstreams: ofJob.map((row) => row.upstream_id),
    onChange: ofJob[0]?.on_change ?? 'ignore',
  }))
}

/** Stores the dependencies that the code declares, for jobs whose dependencies have changed. */
export async function writeDependencies(trx: Transaction<Tables>, jobs: readonly Dependencies[]): Promise<void> {
  if (jobs.length === 0) return
  const ids = jobs.map((job) => job.jobId)
  const rows = await trx.selectFrom('piko_dependency').selectAll().where('job_id', 'in', ids).execute()
  const known = Map.groupBy(rows, (row) => row.job_id)
  const text = (upstreams: readonly string[], onChange: string): string => `${[...upstreams].sort().join()} ${onChange}`
  for (const { jobId, upstreams, onChange } of jobs) {
    const stored = known.get(jobId) ?? []
    const old = stored.map((row) => row.upstream_id)
    if (old.length + upstreams.length === 0 || text(old, stored[0]?.on_change ?? '') === text(upstreams, onChange))
      continue
    await trx.deleteFrom('piko_dependency').where('job_id', '=', jobId).execute()
    if (upstreams.length === 0) continue
    const values = upstreams.map((id) => ({ job_id: jobId, upstream_id: id, on_change: onChange }))
    await trx.insertInto('piko_dependency').values(values).execute()
  }
}
