import type { Logger } from '../../../logger.ts'
import type { Claim } from '../../../run/run.ts'

/** The parts of an attempt that its steps need. */
export interface StepAttempt {
  readonly claim: Claim
  readonly nodeId: string
  readonly commit: 'none' | 'begun' | 'sent' | 'done'
  readonly isHandled: boolean
  readonly signal: AbortSignal
  readonly log: Logger
  readonly abortReason: Error | undefined
  waitMs: number | undefined
  abort(reason: unknown): void
  throwIfAborted(): void
}
