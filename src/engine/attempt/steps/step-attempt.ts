import type { Logger } from '../../../logger.ts'
import type { Claim } from '../../../run/run.ts'

/** What steps need from their attempt. */
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
