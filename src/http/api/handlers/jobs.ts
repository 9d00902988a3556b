import { jobView } from '../../../operations/views/job-view.ts'
import type { ApiApp, Handlers } from '../handler.ts'
import { nameCursor, nameIn } from '../paged.ts'

export const jobHandlers: Handlers<'jobs'> = {
  'jobs.list': async (app, { query: { cursor, jobIds, ...filter } }) => {
    const after = nameIn(cursor)
    const ids = jobIds && { ids: jobIds }
    const { jobs, next } = await app.jobs.page({ ...filter, ...ids, ...(after !== undefined && { after }) })
    return { items: jobs.map(jobView), next: nameCursor(next) }
  },
  'jobs.overview': async (app, { query: { cursor, ...filter } }) => {
    const after = nameIn(cursor)
    const { jobs, next } = await app.jobs.overview({ ...filter, ...(after !== undefined && { after }) })
    return { items: jobs, next: nameCursor(next) }
  },
  'jobs.show': (app, { params }) => shown(app, params.jobId),
  'jobs.pause': async (app, { params }) => {
    await app.jobs.pause(params.jobId)
    return shown(app, params.jobId)
  },
  'jobs.resume': async (app, { params }) => {
    await app.jobs.resume(params.jobId)
    return shown(app, params.jobId)
  },
  'jobs.dependencies': (app, { params }) => app.jobs.dependencies(params.jobId),
  'jobs.limits': (app, { params }) => app.jobs.limits(params.jobId),
  'jobs.why': (app, { params, query }) => app.jobs.why(params.jobId, query.tick),
}

async function shown(app: ApiApp, jobId: string): Promise<object> {
  return jobView(await app.jobs.show(jobId))
}
