import type { Window } from '../time/window.ts'

/** The reason for a notice. `test`: a person is testing a channel. */
export type NoticeKind = 'failure' | 'late' | 'recovered' | 'test'

export const NOTICE_KINDS: readonly NoticeKind[] = ['failure', 'late', 'recovered', 'test']

/** A problem of a job: runs failed, or data is missing after the job's `deadline`. */
export type Problem = 'failure' | 'late'

export const PROBLEMS: readonly Problem[] = ['failure', 'late']

/** The part of a notice about one job. */
export interface NoticeJob {
  readonly jobId: string
  readonly problem: Problem
  /**
   * How many runs have failed since the problem began. For late data: the largest number of windows that were late at the same time, at
   * most about 1,000; 1 without windows.
   */
  readonly count: number
  /** When the problem began. */
  readonly since: Date
  /** When the problem last occurred or got worse. */
  readonly lastAt: Date
  /** The last run that failed. Absent if the data is late. */
  readonly runId?: number
  /** The error of the last failure, without secrets, at most 500 characters. */
  readonly error?: string
  /** The time from the start of the first affected window to the end of the last one. */
  readonly window?: Window
  /** The last tick whose run has not succeeded in time. Only for a job without windows that is late. */
  readonly tick?: Date
  /** When the problem ended. Present only in a notice of the kind `recovered`. */
  readonly recoveredAt?: Date
  /** Whether people have already been notified about this problem, which continues. */
  readonly isRepeated?: true
}

/** One message to people. A burst of failures is one notice. */
export interface Notice {
  /** The id of the notice. It stays the same if the notice is delivered again, so a receiver can ignore the repetition. */
  readonly id: number
  readonly kind: NoticeKind
  /** When the notice was created. */
  readonly at: Date
  /** At most 50 jobs, those with the largest counts first. */
  readonly jobs: readonly NoticeJob[]
  /** How many jobs are affected, including those that are not in `jobs`. */
  readonly jobCount: number
  /** The sum of the counts of all affected jobs. */
  readonly count: number
}

/** The second argument of a hook or a notifier, after the notice. */
export interface NoticeContext {
  /** Aborts after `[notify] timeout`, or when the app stops. */
  readonly signal: AbortSignal
}

/**
 * A hook. It is called on one node for each notice, at least once. It is called again if it throws, or if the node dies during the call.
 */
export type NoticeHook = (notice: Notice, context: NoticeContext) => unknown

/** The hooks of a job, or of the app. */
export interface NoticeHooks {
  /** Called when runs of the job have failed and will not be retried. A burst of failures leads to one call. */
  readonly onFailure?: NoticeHook
  /**
   * Called when data of the job is late: a window, or the run of a tick if the job has no windows, has not succeeded within `deadline`.
   */
  readonly onLate?: NoticeHook
  /** Called when a problem that an earlier call reported is over. */
  readonly onRecovered?: NoticeHook
}

/** Delivers notices to people. */
export interface Notifier {
  /** The name; unique in the app. It is stored with waiting messages. At most 64 letters, digits, `_`, `-` or `.`. */
  readonly name: string
  /** Which kinds of notices to send. Default: all. */
  readonly on?: readonly Exclude<NoticeKind, 'test'>[]
  /** Globs of job ids, such as `orders_*`. Default: all jobs. */
  readonly jobs?: readonly string[]
  /**
   * Sends a notice.
   *
   * @throws if the notice could not be delivered; then it is sent again
   */
  send(notice: Notice, context: NoticeContext): unknown
}

export const HOOK_KINDS = ['failure', 'late', 'recovered'] as const

/** The names of the hooks, by kind of notice. */
export const HOOK_OF = {
  failure: 'onFailure',
  late: 'onLate',
  recovered: 'onRecovered',
} as const satisfies Record<Exclude<NoticeKind, 'test'>, keyof NoticeHooks>
