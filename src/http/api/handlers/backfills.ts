import type { Handlers } from '../handler.ts'
import { idIn, pageById } from '../paged.ts'

const PREVIEWED = 100

export const backfillHandlers: Handlers<'backfills'> = {
  'backfills.create': async (app, { params, body }) => (await app.backfills.create(params.jobId, body)).status(),
  'backfills.preview': async (app, { params, body: { limit = PREVIEWED, ...request } }) => {
    const items: unknown[] = []
    for await (const window of app.backfills.preview(params.jobId, request)) {
      if (items.length === limit) return { items, isWhole: false }
      items.push(window)
    }
    return { items, isWhole: true }
  },
  'backfills.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const before = idIn(cursor)
    const found = await app.backfills.list({ ...filter, ...(before !== undefined && { before }), limit: limit + 1 })
    return pageById(found, limit)
  },
  'backfills.show': (app, { params }) => app.backfills.show(params.backfillId),
  'backfills.pause': (app, { params }) => app.backfills.pause(params.backfillId),
  'backfills.resume': (app, { params }) => app.backfills.resume(params.backfillId),
  'backfills.cancel': (app, { params }) => app.backfills.cancel(params.backfillId),
}
