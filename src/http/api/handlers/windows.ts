import { cursorOf, placeOf } from '../../../api/cursor.ts'
import type { Handlers } from '../handler.ts'
import { pageByStart, startIn } from '../paged.ts'

export const windowHandlers: Handlers<'windows'> = {
  'windows.list': async (app, { params, query: { cursor, limit, ...filter } }) => {
    const from = startIn(cursor) ?? filter.from
    const asked = { ...filter, ...(from !== undefined && { from }), limit: limit + 1 }
    return pageByStart(await app.windows.list(params.jobId, asked), limit)
  },
  'windows.coverage': async (app, { params, query: { cursor, limit, ...filter } }) => {
    const from = startIn(cursor) ?? filter.from
    const asked = { ...filter, ...(from !== undefined && { from }), limit: limit + 1 }
    return pageByStart(await app.windows.coverage(params.jobId, asked), limit)
  },
  'windows.grid': async (app, { query: { cursor, jobId, jobIds, ...filter } }) => {
    const after = placeOf(cursor, { name: 'string' })?.name
    const { rows, next, ...grid } = await app.windows.grid({
      ...filter,
      ...(jobId !== undefined ? { jobIds: [jobId] } : jobIds && { jobIds }),
      ...(after !== undefined && { after }),
    })
    return { ...grid, items: rows, next: next === undefined ? undefined : cursorOf({ name: next }) }
  },
  'windows.rerun': (app, { params, body }) => app.windows.rerun(params.jobId, body),
  'windows.stale': (app, { params, body }) => app.windows.stale(params.jobId, body),
  'windows.summary': (app, { params, query }) => app.windows.summary(params.jobId, query),
  'windows.prove': (app, { params, query, signal }) => app.windows.prove(params.jobId, { ...query, signal }),
}
