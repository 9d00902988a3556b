import { cursorOf, placeOf } from '../../../api/cursor.ts'
import { jobView } from '../../../operations/job-view.ts'
import type { Handlers } from '../handler.ts'

export const jobHandlers: Handlers<'jobs'> = {
  'jobs.list': async (app, { query: { cursor, limit, state, search } }) => {
    const after = placeOf(cursor, { id: 'string' })?.id
    const found = (await app.jobs.list())
      .map(jobView)
      .filter(
        (job) => (state === undefined || job.state === state) && (search === undefined || job.id.includes(search)),
      )
      .sort((one, other) => (one.id < other.id ? -1 : 1))
      .filter(({ id }) => after === undefined || id > after)
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, next: found.length > limit && last ? cursorOf({ id: last.id }) : undefined }
  },
  'jobs.show': async (app, { params }) => jobView(await app.jobs.show(params.jobId)),
  'jobs.pause': async (app, { params }) => {
    await app.jobs.pause(params.jobId)
    return jobView(await app.jobs.show(params.jobId))
  },
  'jobs.resume': async (app, { params }) => {
    await app.jobs.resume(params.jobId)
    return jobView(await app.jobs.show(params.jobId))
  },
  'jobs.why': (app, { params, query }) => app.jobs.why(params.jobId, query.tick),
}
