import { z } from 'zod'
import { ITEM_STATES } from '../../item/item.ts'
import { count, id, instant, name, page } from '../values.ts'
import { runError } from './run-values.ts'

/** The fields that items and pages of crawls share. */
const common = {
  id: count,
  runId: count,
  jobId: z.string(),
  state: z.enum(ITEM_STATES),
  priority: z.number().int(),
  depth: count,
  parent: count.optional(),
  dueAt: instant,
  nodeId: z.string().optional(),
  tries: z.record(z.string(), count),
  reason: z.string().optional(),
  error: runError.optional(),
  position: z.string().optional(),
  hasKept: z.boolean(),
  createdAt: instant,
  startedAt: instant.optional(),
  finishedAt: instant.optional(),
}
export const item = z.object({ ...common, kind: z.string(), key: z.string(), lane: z.string() })
export const crawlPage = z.object({ ...common, step: z.string(), request: z.string(), host: z.string() })

/** The fields that the status of a run's items and the status of a crawl share. Each has further fields. */
export const itemsStatus = z
  .object({ runId: count, jobId: z.string(), state: z.string(), isSeeded: z.boolean(), perSecond: z.number() })
  .loose()
export const lane = z.object({ id: count, scope: z.string(), name: z.string() }).loose()
export const lanesPaused = z.object({ lanes: count })

/** The query of a list of lanes. */
export const laneQuery = { runId: id.optional(), ...page }
export const laneParams = z.strictObject({ lane: name })
export const replayBody = {
  state: z.enum(['dead', 'skipped', 'cancelled']).optional(),
  ids: z.array(z.number().int().min(1)).max(1_000).optional(),
}

export const ITEM_EXAMPLE = {
  ...{ id: 9, runId: 17, jobId: 'sync_orders', state: 'dead', priority: 0, depth: 0, tries: { error: 3 } },
  ...{ dueAt: '2026-01-01T00:00:00.000Z', hasKept: false, createdAt: '2026-01-01T00:00:00.000Z' },
}
export const STATUS_EXAMPLE = { runId: 17, jobId: 'sync_orders', state: 'failed', isSeeded: true, perSecond: 2.5 }
export const LANE_EXAMPLE = { id: 2, scope: 'sync_orders', name: 'shop-1' }
