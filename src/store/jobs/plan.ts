import type { Window } from '../../time/window.ts'
import type { StoredGeneration } from '../windows/generations.ts'
import type { StoredWindows } from '../windows/stored-windows.ts'
import type { NewRun } from '../runs/new-run.ts'

/** A job that is due for planning, with the data that its decision needs. */
export interface DueJob {
  readonly id: string
  /** The schedule from which `nextTick` was computed: `planned_schedule` of `JobTable`. Undefined: the schedule from code. */
  readonly schedule?: string | null
  readonly nextTick: Date | undefined
  readonly windowCursor: Date | undefined
  /** Whether the last node that registered the job declared windows for it. */
  readonly hasWindows?: boolean
  /** The schedules that have set the bounds of the job's windows, oldest first. */
  readonly generations?: readonly StoredGeneration[]
  /** The windows after the cursor of a job with windows. */
  readonly beyond?: StoredWindows | undefined
  /** How many planned windows have not ended, without those of backfills. */
  readonly pending: number
  /** The number of the job's queued and running runs. */
  readonly active: number
}

/** What the planner has decided about a due job. */
export interface PlanDecision {
  readonly jobId: string
  /** Runs to queue and ticks to record as skipped. */
  readonly runs: readonly NewRun[]
  /** Windows that are skipped, without a run. */
  readonly skippedWindows: readonly Window[]
  /** Windows that are waiting for windows of other jobs. Each gets its run when those have succeeded. */
  readonly waitingWindows: readonly Window[]
  readonly nextTick: Date | undefined
  readonly planAt: Date | undefined
  readonly windowCursor: Date | undefined
}

export interface PlanResult {
  /** The number of jobs that were due. */
  readonly due: number
  /** The written decisions, without runs and windows that already existed. */
  readonly written: readonly PlanDecision[]
  /** Jobs for which nothing was written, because the database refuses the plan or their rows can't be read. */
  readonly refused: readonly RefusedPlan[]
}

export interface RefusedPlan {
  readonly jobId: string
  readonly refusal: unknown
}

export interface Agenda {
  /** The time on the database's clock. All planning uses it, because the clocks of nodes differ. */
  readonly now: Date
  /** When the next job is due for planning. */
  readonly nextPlanAt: Date | undefined
  /** Whether a schedule was edited since it was planned; see `edited`. */
  readonly hasEdits: boolean
}

/** Which jobs a planner handles. */
export type PlanScope = { readonly only: readonly string[] } | { readonly except: readonly string[] }
