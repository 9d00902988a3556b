import type { Action } from './action.tsx'
import { changeBackfill } from './of-backfills.ts'
import { resumeNode } from './of-fleet.ts'
import { pauseJob, resumeJob, startRun } from './of-jobs.ts'
import { cancelRun, replayRun } from './of-runs.tsx'
import { createBackfill } from './of-windows.ts'

/** A change that "Why not?" suggests, as its verb and its subject. */
export interface KnownChange {
  readonly verb: string
  readonly jobId?: string | undefined
  readonly runId?: number | undefined
  readonly backfillId?: number | undefined
  readonly nodeId?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** Returns the action of a change. Undefined if it needs further input, such as a new schedule. */
export function knownAction(change: KnownChange): Action | undefined {
  const { verb, jobId = '', runId = 0, backfillId = 0, nodeId, from, to } = change
  switch (verb) {
    case 'jobs.pause':
      return pauseJob(jobId)
    case 'jobs.resume':
      return resumeJob(jobId)
    case 'runs.start':
      return startRun(jobId)
    case 'runs.replay':
      return replayRun(runId)
    case 'runs.cancel':
      return cancelRun(runId)
    case 'backfills.resume':
      return changeBackfill(backfillId, 'resume')
    case 'nodes.resume':
      return nodeId === undefined ? undefined : resumeNode(nodeId)
    case 'backfills.create':
      return from !== undefined && to !== undefined
        ? createBackfill({ jobId, from, to }, `Backfill ${jobId} from ${from.slice(0, 16)}Z`)
        : undefined
    default:
      return undefined
  }
}
