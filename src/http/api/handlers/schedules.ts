import type { ScheduleSpec } from '../../../time/schedule.ts'
import type { ApiApp, Handlers } from '../handler.ts'
import { afterName, pageByName } from '../paged.ts'

export const scheduleHandlers: Handlers<'schedules'> = {
  'schedules.list': async (app, { query: { isOverridden, ...page } }) => {
    const found = await app.schedules.list({
      ...afterName(page),
      ...(isOverridden !== undefined && { isOverridden: isOverridden === 'true' }),
    })
    return pageByName(found, ({ jobId }) => jobId, page)
  },
  'schedules.set': async (app, { params, body }) => {
    // The operation checks the schedule.
    await app.schedules.set(params.jobId, body.schedule as ScheduleSpec | null)
    return shown(app, params.jobId)
  },
  'schedules.clear': async (app, { params }) => {
    await app.schedules.clear(params.jobId)
    return shown(app, params.jobId)
  },
  'schedules.preview': (app, { params, query: { schedule, ...query } }) =>
    // The operation checks the schedule.
    app.schedules.preview(params.jobId, {
      ...query,
      ...(schedule !== undefined && { schedule: schedule as ScheduleSpec }),
    }),
}

async function shown(app: ApiApp, jobId: string): Promise<object | undefined> {
  return (await app.schedules.list({ jobIds: [jobId] }))[0]
}
