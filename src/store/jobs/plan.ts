import { type Window } from '../../time/window.ts'
import { type StoredGeneration } from '../windows/generations.ts'
import { type StoredWindows } from '../windows/stored-windows.ts'
import { type NewRun } from '../runs/new-run.ts'

/** A job that is due for planning, with what its decision needs. */
export interface DueJob {
  readonly id: string
  /** The planner's own schedule; see `JobTable`. Undefined: the one from code. */
  readonly schedule?: string | null
  readonly nextTick: Date | undefined
  readonly windowCursor: Date | undefined
  /** Whether the node that registered the job last gave it windows. */
  readonly hasWindows?: boolean
  /** For a job with windows, oldest first. */
  readonly generations?: readonly StoredGeneration[]
  /** For a job with windows: the windows beyond its cursor. */
  readonly beyond?: StoredWindows | undefined
  /** Windows planned and not settled, without those of backfills. */
  readonly pending: number
  /** Runs of the job that are queued or running. */
  readonly active: number
}

/** What the planner decided about a due job. */
export interface PlanDecision {
  readonly jobId: string
  /** Runs to queue and ticks to record as skipped. */
  readonly runs: readonly NewRun[]
  /** Windows that are skipped, without a run. */
  readonly skippedWindows: readonly Window[]
  /** Windows that get their runs after those that they depend on have succeeded. */
  readonly waitingWindows: readonly Window[]
  readonly nextTick: Date | undefined
  readonly planAt: Date | undefined
  readonly windowCursor: Date | undefined
}

/** The result of one pass of planning. */
export interface PlanResult {
  /** Jobs that were due. */
  readonly due: number
  /** The written decisions, without parts that had been planned before. */
  readonly written: readonly PlanDecision[]
  /** Jobs whose plan the database refuses or whose rows can't be read: nothing was written for them. */
  readonly refused: readonly RefusedPlan[]
}

export interface RefusedPlan {
  readonly jobId: string
  readonly refusal: unknown
}

export interface Agenda {
  /** The time of the database's clock. All planning uses it, because the nodes' own clocks differ. */
  readonly now: Date
  /** When the next job is due for planning. */
  readonly nextPlanAt: Date | undefined
  /** Whether a schedule was edited since it was planned; see `edited`. */
  readonly hasEdits: boolean
}

/** The jobs that a planner handles. */
export type PlanScope = { readonly only: readonly string[] } | { readonly except: readonly string[] }
