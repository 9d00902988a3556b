import { z } from 'zod'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { RUN_STATES } from '../../run/run.ts'
import { ofRun, route } from '../route.ts'
import { id, wholeText } from '../values.ts'
import { logLine, progress, run } from './run-values.ts'

/** One message of {@link RUN_FOLLOW}. */
export const runNews = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('line'), line: logLine }),
  z.object({ kind: z.literal('progress'), progress }),
  z.object({ kind: z.literal('state'), state: z.enum(RUN_STATES), run }),
])

const LINE = {
  ...{ id: 3, runId: 17, fence: 1_114_113, attempt: 1 },
  ...{ at: '2026-01-01T00:00:00.000Z', level: 'warn', message: 'a slow shop' },
}

/** The server handles this route separately, because its response continues until the run has ended. */
export const RUN_FOLLOW = route({
  id: 'runs.follow',
  method: 'GET',
  path: '/runs/{runId}/follow',
  role: 'viewer',
  summary: 'Streams the log lines, the progress and the states of a run as server-sent events, until it has ended.',
  description: 'The stored log lines come first. `Last-Event-ID` and `after` are ids of log lines.',
  ...{ params: z.strictObject({ runId: id }), job: ofRun },
  query: z.strictObject({
    after: wholeText(0).optional().meta({ description: 'The id of the last log line that you know.' }),
    level: z.enum(RUN_LOG_LEVELS).optional().meta({ description: 'Only log lines of this level or a higher one.' }),
  }),
  headers: z.object({ 'last-event-id': wholeText(0).optional() }),
  ...{ isStream: true, answer: z.string() },
  example: {
    params: { runId: 17 },
    query: { level: 'warn' },
    answer: `event: line\nid: 3\ndata: ${JSON.stringify({ kind: 'line', line: LINE })}\n\n`,
  },
})
