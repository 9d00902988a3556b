import type { Clock } from '../clock.ts'
import type { Background } from './background.ts'
import type { ServiceState } from './service-state.ts'
import type { StopLimit } from './stop-limit.ts'

/** Why a service stops: on request, or to clean up after a crash. */
export type StopReason = 'stop' | 'crash'

/** The hooks that a subclass may implement, one for each step. */
export interface LifecycleHooks {
  onFirstStart(): unknown
  onStart(): unknown
  onStarted(): unknown
  onStop(why: StopReason): unknown
  onStopped(): unknown
  onRestart(): unknown
}

/** What a lifecycle reports to others. */
export interface LifecycleEvents {
  moved(from: ServiceState, to: ServiceState, reason: Error | undefined): void
  restarted(reason: Error | undefined): void
  stuck(task: string, waitedMs: number): void
  /** Called when the service crashes while it is running. */
  crashedRunning(reason: Error): void
}

/** A part that starts and stops with its service. */
export interface Child {
  maybeStart(): Promise<boolean>
  stop(): Promise<void>
}

export interface LifecycleParts {
  readonly hooks: LifecycleHooks
  readonly events: LifecycleEvents
  /** The service's own methods, which a subclass may override. */
  readonly self: { start(): Promise<void>; crash(reason: unknown): void }
  readonly path: () => string
  readonly clock: () => Clock
  /** The children in order. A child may be added while an earlier one starts. */
  readonly children: () => readonly Child[]
  /** How long a stop waits for background tasks, and for a start in progress. */
  readonly graceMs: () => number
  /** How long a stop may take; undefined: no limit. */
  readonly stopTimeoutMs: () => number | undefined
  /**
   * The time limit for the current stop. It comes from the nearest service, from this one upwards, whose stop has a deadline. Undefined: no
   * limit.
   */
  readonly stopLimit: () => StopLimit | undefined
  /** Prepares the background work for a new start. */
  readonly begin: (signal: AbortSignal) => Background
  /** Launches the decorated methods. */
  readonly launchDeclared: (background: Background) => void
  /** Calls the deferred callbacks. */
  readonly closeExits: () => Promise<void>
}
