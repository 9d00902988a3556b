import { z } from 'zod'
import { ATTEMPT_OUTCOMES } from '../../run/attempt.ts'
import { PHASE_NAMES } from '../../run/phases.ts'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import { count, instant, json, milliseconds, window } from '../values.ts'

export const runError = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string().optional(),
  stack: z.string().optional(),
})

export const progress = z.object({
  attempt: count,
  done: z.number(),
  total: z.number().optional(),
  message: z.string().optional(),
  ratePerSecond: z.number().optional(),
  etaMs: milliseconds.optional(),
  updatedAt: instant,
})

export const run = z.object({
  id: z.number().int(),
  jobId: z.string(),
  state: z.enum(RUN_STATES),
  kind: z.enum(RUN_KINDS),
  priority: z.number().int(),
  runAt: instant.meta({ description: 'The earliest start.' }),
  tick: instant.optional(),
  window: window.optional(),
  backfillId: z.number().int().optional(),
  attempt: count,
  nodeId: z.string().optional(),
  fence: count,
  config: json.optional().meta({ description: "Overrides of the job's config for this run." }),
  configVersion: count.optional(),
  input: json.optional(),
  output: json.optional(),
  error: runError.optional(),
  reason: z.string().optional().meta({ description: 'Why a tick was skipped.' }),
  createdAt: instant,
  startedAt: instant.optional(),
  finishedAt: instant.optional(),
  cancelRequestedAt: instant.optional(),
  progress: progress.optional(),
})

/** The fields of a run from which the dashboard draws a bar of the timeline. */
export const timelineRun = run
  .omit({
    ...{ config: true, configVersion: true, input: true, output: true, error: true, progress: true, fence: true },
    priority: true,
  })
  .extend({
    beganAt: instant.optional().meta({
      description: 'When the handler of its last attempt began, if it waited on its node for a slot or for resources.',
    }),
  })

const attempt = z.object({
  attempt: count,
  fence: count,
  nodeId: z.string().optional(),
  startedAt: instant.optional(),
  finishedAt: instant.optional(),
  outcome: z.enum([...ATTEMPT_OUTCOMES, 'succeeded', 'running']),
  error: runError.optional(),
  phases: z
    .array(z.object({ name: z.enum(PHASE_NAMES), from: instant, to: instant }))
    .meta({ description: 'The parts of its time, in order. Of a running attempt, only how long it was queued.' }),
})

const step = z.object({
  name: z.string(),
  attempt: count,
  tries: count,
  ms: milliseconds,
  waitingSince: instant.optional(),
  finishedAt: instant.optional(),
})

const spilled = z.object({
  runId: count,
  jobId: z.string(),
  sink: z.string(),
  host: z.string(),
  rows: count,
  sent: count,
  bytes: count,
  spilledAt: instant,
})

export const runDetails = run.extend({
  batchId: z.number().int().optional(),
  attempts: z.array(attempt),
  steps: z.array(step),
  spilled: z.array(spilled),
  deadRows: count,
})

export const logLine = z.object({
  id: count,
  runId: count,
  fence: count,
  attempt: count,
  at: instant,
  level: z.enum(RUN_LOG_LEVELS),
  message: z.string(),
  fields: z.record(z.string(), json).optional(),
})

export const RUN_EXAMPLE = {
  id: 17,
  jobId: 'sync_orders',
  state: 'queued',
  kind: 'manual',
  priority: 0,
  runAt: '2026-01-01T00:00:00.000Z',
  attempt: 0,
  fence: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
}

const { priority: _priority, fence: _fence, ...short } = RUN_EXAMPLE
export const TIMELINE_EXAMPLE = short
