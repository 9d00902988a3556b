import { PikoError } from '../../../errors.ts'
import type { Handlers } from '../handler.ts'
import { pageByName, idCursor, idIn } from '../paged.ts'

const MAX_TOPICS = 500
const MAX_HISTORY = 100

export const sharedHandlers: Handlers<'shared'> = {
  'shared.list': async (app, { query }) =>
    pageByName(await app.shared.list({ limit: MAX_TOPICS }), ({ topic }) => topic, query),
  'shared.show': async (app, { params: { topic } }) => {
    const record = await app.shared.show(topic)
    if (record) return record
    throw new PikoError('SHARED_UNKNOWN', `no version of ${topic} is stored; GET /shared lists the stored topics`, {
      details: { topic },
    })
  },
  'shared.history': async (app, { params, query: { cursor, limit } }) => {
    const before = idIn(cursor) ?? Infinity
    const found = (await app.shared.history(params.topic, { limit: MAX_HISTORY })).filter(
      ({ version }) => version < before,
    )
    const items = found.slice(0, limit)
    return { items, next: found.length > limit ? idCursor(items.at(-1)?.version) : undefined }
  },
  'shared.publish': async (app, { params: { topic }, body }) => ({
    topic,
    version: await app.shared.publish(topic, body.value),
  }),
  'shared.rollback': async (app, { params: { topic }, body }) => ({
    topic,
    version: await app.shared.rollback(topic, body.version),
  }),
}
