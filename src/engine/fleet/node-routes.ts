import { PikoError } from '../../errors.ts'
import { defineRoutes, type Routes } from '../../link/routes/define-routes.ts'
import { Waiters } from '../../signals/waiters.ts'
import type { LocalServices } from './local-services.ts'
import { offloadRoutes } from './offload-routes.ts'
import type { RunWatch } from './run-watch.ts'
import { serviceRoutes } from './service-routes.ts'

/** The maximum number of watched runs. Beyond it, other nodes can't watch further runs of this node. */
const MAX_WATCHED = 1_000

/** Creates the routes that other nodes may call on this node. */
export function nodeRoutes(watch: RunWatch, services: LocalServices, takesCalls: () => boolean): Routes {
  return defineRoutes({ prefix: '/piko' })
    .stream('/runs/:id/watch', ({ params, signal }) => newsOf(watch, Number(params['id']), signal))
    .mount(offloadRoutes(takesCalls))
    .mount(serviceRoutes(services))
}

/** Yields once at the beginning, and once for each change of a run. If the reader is slow, several changes become one. */
async function* newsOf(watch: RunWatch, runId: number, signal: AbortSignal): AsyncGenerator<'news' | 'settled'> {
  if (!Number.isSafeInteger(runId) || watch.size >= MAX_WATCHED)
    throw new PikoError('LINK_FULL', `run ${runId} can't be watched here; read its log from the database`)
  const arrived = new Waiters<void>()
  let isNew = true
  let isSettled = false
  const end = watch.add(runId, (settled) => {
    isNew = true
    isSettled ||= settled
    arrived.tell()
  })
  try {
    while (!signal.aborted) {
      if (!isNew) await arrived.next(signal)
      const news = isSettled ? 'settled' : 'news'
      isNew = false
      isSettled = false
      yield news
    }
  } finally {
    end()
  }
}
