import type { Window } from '../time/window.ts'

/** The reason for a notice. `test`: a person tries a channel. */
export type NoticeKind = 'failure' | 'late' | 'recovered' | 'test'

export const NOTICE_KINDS: readonly NoticeKind[] = ['failure', 'late', 'recovered', 'test']

/** A problem of a job: runs failed, or data is missing after the job's `deadline`. */
export type Problem = 'failure' | 'late'

export const PROBLEMS: readonly Problem[] = ['failure', 'late']

/** The part of a notice about one job. */
export interface NoticeJob {
  readonly jobId: string
  readonly problem: Problem
  /** The number of runs that have failed since the problem began, or the most windows that were late at the same time, at most 1,000. */
  readonly count: number
  /** When the problem began and when it last happened. */
  readonly since: Date
  readonly lastAt: Date
  /** The last run that failed. */
  readonly runId?: number
  /** Its error, without secrets, at most 500 characters. */
  readonly error?: string
  /** From the start of the first affected window to the end of the last. */
  readonly window?: Window
  /** Present only in a notice of the kind `recovered`. */
  readonly recoveredAt?: Date
  /** Whether people were already notified of this problem, and it continues. */
  readonly isRepeated?: true
}

/** One message to people. A burst of failures is one notice. */
export interface Notice {
  /** The id is the same if the notice is delivered again, so that a receiver can ignore the repetition. */
  readonly id: number
  readonly kind: NoticeKind
  /** When the notice was created. */
  readonly at: Date
  /** At most 50 jobs, those with the most failures first. */
  readonly jobs: readonly NoticeJob[]
  /** The number of jobs, including those that `jobs` leaves out. */
  readonly jobCount: number
  /** The sum of their counts. */
  readonly count: number
}

/** The second argument of a hook or a notifier, after the notice. */
export interface NoticeContext {
  /** Aborts at the end of `[notify] timeout`, or when the app stops. */
  readonly signal: AbortSignal
}

/**
 * A hook: called on one node for each notice, at least once. It is called again after an error, and if its node died while it ran.
 */
export type NoticeHook = (notice: Notice, context: NoticeContext) => unknown

/** The hooks of a job, or of the app. */
export interface NoticeHooks {
  /** Runs of the job have failed, and will not be retried. There is one call for a burst. */
  readonly onFailure?: NoticeHook
  /** Data of the job is late: a window, or without windows the run of a tick, has not succeeded within `deadline`. */
  readonly onLate?: NoticeHook
  /** The problem that an earlier call reported has ended. */
  readonly onRecovered?: NoticeHook
}

/** Delivers notices to people. */
export interface Notifier {
  /** Unique in the app; stored with messages that wait. At most 64 letters, digits, `_`, `-` or `.`. */
  readonly name: string
  /** The kinds of notices that it gets. Default: all. */
  readonly on?: readonly Exclude<NoticeKind, 'test'>[]
  /** Globs of job ids, such as `orders_*`. Default: all jobs. */
  readonly jobs?: readonly string[]
  /** @throws if the notice could not be delivered; it is tried again */
  send(notice: Notice, context: NoticeContext): unknown
}

export const HOOK_KINDS = ['failure', 'late', 'recovered'] as const

/** The name of the hook for a kind of notice. */
export const HOOK_OF = {
  failure: 'onFailure',
  late: 'onLate',
  recovered: 'onRecovered',
} as const satisfies Record<Exclude<NoticeKind, 'test'>, keyof NoticeHooks>
