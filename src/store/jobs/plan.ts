import { type Window } from '../../time/window.ts'
import { type StoredGeneration } from '../windows/generations.ts'
import { type StoredWindows } from '../windows/stored-windows.ts'
import { type NewRun } from '../runs/new-run.ts'

/** A job that is due for planning, with what its decision needs. */
export interface DueJob {
  readonly id: string
  /** The planner's own; see `JobTable`. Undefined: what the code says. */
  readonly schedule?: string | null
  readonly nextTick: Date | undefined
  readonly windowCursor: Date | undefined
  /** Whether the node that registered the job last gave it windows. */
  readonly hasWindows?: boolean
  /** Of a job with windows, oldest first. */
  readonly generations?: readonly StoredGeneration[]
  /** Windows of a job with windows that exist beyond its cursor. */
  readonly beyond?: StoredWindows | undefined
  /** Windows planned and not settled, those of backfills left out. */
  readonly pending: number
  /** Runs of the job that are queued or running. */
  readonly active: number
}

/** What the planner decided about a due job. */
export interface PlanDecision {
  readonly jobId: string
  /** Runs to queue and ticks to record as skipped. */
  readonly runs: readonly NewRun[]
  /** Windows that are not run, with no run of their own. */
  readonly skippedWindows: readonly Window[]
  /** Windows that get their runs when those that they depend on have succeeded. */
  readonly waitingWindows: readonly Window[]
  readonly nextTick: Date | undefined
  readonly planAt: Date | undefined
  readonly windowCursor: Date | undefined
}

/** What one pass of planning did. */
export interface PlanResult {
  /** Jobs that were due. */
  readonly due: number
  /** The decisions as written, without what had been planned before. */
  readonly written: readonly PlanDecision[]
  /** Jobs whose plan the database refuses, or whose rows can't be read: nothing of theirs was written. */
  readonly refused: readonly RefusedPlan[]
}

export interface RefusedPlan {
  readonly jobId: string
  readonly refusal: unknown
}

export interface Agenda {
  /** The database's clock, by which everything is planned: the nodes' own clocks differ. */
  readonly now: Date
  /** When the next job is due for planning. */
  readonly nextPlanAt: Date | undefined
  /** Somebody has edited a schedule since it was planned; see `edited`. */
  readonly hasEdits: boolean
}

/** Of which jobs a planner takes care. */
export type PlanScope = { readonly only: readonly string[] } | { readonly except: readonly string[] }
