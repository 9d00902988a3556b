import { describe, PikoError } from '../../../errors.ts'
import type { Run } from '../../../run/run.ts'
import { TERMINAL_STATES } from '../../../run/run.ts'
import { type Duration, durationMs } from '../../../time/duration.ts'
import type { ApiApp, Handlers } from '../handler.ts'
import { idCursor, idIn, pageById } from '../paged.ts'

const DEFAULT_WAIT_MS = 30_000
const MAX_WAIT_MS = 60_000

export const runHandlers: Handlers<'runs'> = {
  'runs.start': async (app, { params, headers, body, signal }) => {
    const { wait, idempotencyKey: key, ...options } = body
    const waitMs = waitOf(wait)
    const idempotencyKey = keyOf(key, headers['idempotency-key'])
    const run = await app.run(params.jobId, { ...options, ...(idempotencyKey !== undefined && { idempotencyKey }) })
    return waitMs === 0 ? run : waited(app, run, waitMs, signal)
  },
  'runs.list': async (app, { query: { cursor, ...filter } }) => {
    const before = idIn(cursor)
    const { runs, next } = await app.runs.page({ ...filter, ...(before !== undefined && { before }) })
    return { items: runs, next: idCursor(next) }
  },
  'runs.timeline': (app, { query }) => app.runs.timeline(query),
  'runs.logs': async (app, { params, query: { cursor, limit, ...filter } }) => {
    const after = idIn(cursor)
    const asked = { ...filter, ...(after !== undefined && { after }), limit: limit + 1 }
    return pageById(await app.runs.logs(params.runId, asked), limit)
  },
  'runs.cancel': (app, { body }) => app.runs.cancel(body),
  'runs.cancelOne': (app, { params }) => app.runs.cancel(params.runId),
  'runs.replay': (app, { body }) => app.runs.replay(body),
  'runs.replayOne': (app, { params }) => app.runs.replay(params.runId),
  // The operation checks the duration.
  'runs.prune': async (app, { body: { olderThan, ...options } }) => ({
    deleted: await app.runs.prune({ ...options, olderThan: olderThan as Duration }),
  }),
  'runs.summary': (app) => app.runs.summary(),
  'runs.show': (app, { params }) => app.runs.show(params.runId),
}

function waitOf(wait: boolean | string | undefined): number {
  if (wait === undefined || wait === false) return 0
  const ms = wait === true ? DEFAULT_WAIT_MS : durationMs(wait, 'wait')
  if (ms <= MAX_WAIT_MS) return ms
  throw new PikoError('USAGE', `wait is ${describe(wait)}; expected at most ${MAX_WAIT_MS / 1_000}s`, {
    details: { wait },
  })
}

function keyOf(inBody: string | undefined, inHeader: string | undefined): string | undefined {
  if (inBody === undefined || inHeader === undefined || inBody === inHeader) return inBody ?? inHeader
  throw new PikoError(
    'USAGE',
    `the header Idempotency-Key is ${describe(inHeader)} and idempotencyKey is ${describe(inBody)}; give one of them`,
  )
}

/** Returns the run when it has ended or the wait has timed out. The client may close its connection before that. */
async function waited(app: ApiApp, run: Run, waitMs: number, signal: AbortSignal): Promise<Run> {
  if (TERMINAL_STATES.has(run.state)) return run
  const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)])
  try {
    return await app.waitFor(run.id, over)
  } catch (error) {
    if (!over.aborted) throw error
    return app.runs.show(run.id)
  }
}
