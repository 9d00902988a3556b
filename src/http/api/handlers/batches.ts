import type { BatchItem } from '../../../operations/batches/batch-request.ts'
import type { Handlers } from '../handler.ts'
import { idIn, pageById } from '../paged.ts'

export const batchHandlers: Handlers<'batches'> = {
  'batches.create': async (app, { params, body: { items, ...options } }) => {
    // The operation checks each item. The cast only tells the compiler that no field is present with the value undefined.
    const batch = await app.batches.create(params.jobId, items as BatchItem[], options)
    return batch.show()
  },
  'batches.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const before = idIn(cursor)
    const found = await app.batches.list({ ...filter, ...(before !== undefined && { before }), limit: limit + 1 })
    return pageById(found, limit)
  },
  'batches.show': (app, { params }) => app.batches.show(params.batchId),
  'batches.cancel': (app, { params }) => app.batches.cancel(params.batchId),
  'batches.replay': (app, { params, body }) => app.batches.replay(params.batchId, body),
}
