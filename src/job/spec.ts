import { isWhole } from '../errors-read.ts'
import type { z } from 'zod'
import type { BorrowedOf, ResourceMap } from '../resource/resource.ts'
import type { SinkMap } from '../sink/sink.ts'
import type { Calendar, CalendarFunction } from '../time/calendar.ts'
import type { DstPolicy } from '../time/dst.ts'
import type { Duration } from '../time/duration.ts'
import type { InstantInput } from '../time/instant.ts'
import type { NoticeHook, NoticeHooks } from '../notice/notice.ts'
import type { ScheduleSpec } from '../time/schedule.ts'
import type { Window } from '../time/window.ts'
import type { AdmissionLimits, KeyedConcurrency, KeyedRate, Rate } from '../run/limits.ts'
import type { JobContext } from './context.ts'
import type { Overlap } from './overlap.ts'
import type { ItemData } from './items/adding.ts'
import type { ItemKinds, ItemLimits, ItemTolerance } from './items/item-kind.ts'
import type { ItemPolicy } from './items/item-policy.ts'
import type { JobExtension } from './job-extension.ts'
import type { JobTypes, Typed } from './job-types.ts'
import type { RetryPolicy, RetrySpec } from '../run/retry.ts'
import type { OnUpstreamChange, Upstream } from './upstream.ts'

/** How a job's timeline is divided into windows. Without `grid`, they end at the ticks of the job's schedule. */
export interface WindowsSpec {
  /** Start of the first window. Ticks of `every` are aligned to it. */
  readonly start: InstantInput
  /** End of the last window; without it the timeline never ends. */
  readonly end?: InstantInput
  /**
   * When the windows begin and end, if not at the ticks at which they run: a cron expression or several, in the job's `timezone` and with
   * its `dst`. Each window runs at the first tick of the job's `cron` or `every` at or after its end; without these, at its end. Default:
   * the job's schedule.
   */
  readonly grid?: string | readonly string[]
  /**
   * How long to wait after the end of a window before it runs. Not allowed if the job has both `grid` and `cron` or `every`. Default: none.
   */
  readonly delay?: Duration
  /**
   * Which missed windows to run: `'all'`, only the `'latest'`, or `'none'`. A window is missed if no node planned it when it was due,
   * because none was running, the job was paused, or the job had not been started yet. After its first start, `'none'` still runs windows
   * that became due within `misfireGraceTime`. Missed windows that do not run are recorded as skipped, except those before the job's first
   * start, which are not recorded. Default `'all'`.
   */
  readonly catchUp?: 'all' | 'latest' | 'none'
  /** How many windows may run at the same time, across all nodes. Default 1. */
  readonly parallel?: number
}

/**
 * A developer's description of a job. It has at most one of `cron`, `every` and `at`. Without any of these, the job runs only on request.
 */
export interface JobSpec<
  R extends ResourceMap = Record<never, never>,
  C extends z.ZodType = z.ZodType<Record<string, unknown>>,
  S extends SinkMap = Record<never, never>,
  W extends WindowsSpec | undefined = WindowsSpec | undefined,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
> {
  /** The id of the job: at most 128 letters, digits, `_`, `-`, `.`, `:` and `/`. It must be unique. */
  readonly id: string
  readonly description?: string
  /**
   * A cron expression, or several. It has five fields, or six with seconds first, in the syntax of croner. The job has a tick whenever one
   * of them matches.
   */
  readonly cron?: string | readonly string[]
  /** A fixed rate, aligned to the Unix epoch or to `windows.start`, not to process start. */
  readonly every?: Duration
  /** The only tick of the job: it runs once, at this instant. */
  readonly at?: InstantInput
  /** The IANA time zone of `cron`, of `windows.grid`, of the days of `exclude`, and of dates that name windows. Default `'UTC'`. */
  readonly timezone?: string
  /** What `cron` and `windows.grid` do when clocks change. Default `'auto'`, which behaves like cronie. */
  readonly dst?: DstPolicy
  /** `cron` and `every` have no ticks before this instant. If the job has `windows`, see also `windows.start`. */
  readonly start?: InstantInput
  /** There are no ticks after this instant. A tick exactly at this instant is included. */
  readonly end?: InstantInput
  /** Which ticks of `cron` or `every` to leave out. A window then lasts until the next tick that is not left out. */
  readonly exclude?: Calendar | CalendarFunction
  /**
   * The maximum delay of a run after its tick. The delay is always the same for the same job and tick, but differs between jobs, so that
   * not all jobs start on the hour. Ticks and windows do not change. Default: none.
   */
  readonly jitter?: Duration
  readonly windows?: W
  /** Checks and types `ctx.config`. */
  readonly config?: C
  /**
   * Checks and types `ctx.input`. Checks the value as the database will return it: when a run is requested, and again when the run starts.
   * A job with a schedule or windows has runs without input, so its schema must accept `undefined`. Default: any JSON value.
   */
  readonly input?: I
  /** Checks and types the handler's output, in the JSON form that the database returns. Default: any JSON value. */
  readonly output?: O
  readonly resources?: R
  readonly sinks?: S
  readonly retry?: RetrySpec
  /** The time limit of one attempt, including the time to borrow its resources. Default: none. */
  readonly timeout?: Duration
  /** The maximum delay of a tick. For later ones of a job without windows, see `misfire`. Default `'5m'`. */
  readonly misfireGraceTime?: Duration
  /**
   * What happens to ticks that are later than `misfireGraceTime` (jobs without windows). `'skip'`: they are recorded as skipped. `'once'`:
   * the last of them runs, the others are skipped. `'all'`: the last `misfireLimit` of them run. Default `'skip'`.
   */
  readonly misfire?: 'skip' | 'once' | 'all'
  /** The maximum number of late ticks that run with `misfire: 'all'`, from 1 to 10,000. Default 100. */
  readonly misfireLimit?: number
  /**
   * What happens to a tick while an earlier run of the job is queued or running. `'allow'`: both run. `'skip'`: the tick is recorded as
   * skipped. `'bufferOne'`: it waits for the end of the earlier run, and further ticks are skipped while one waits. `'bufferAll'`: all
   * ticks wait, and run one after another. `'cancelOther'`: the earlier runs are cancelled, and the tick starts when they have ended.
   * Default `'allow'`. With the last three, two runs of the job never run at the same time, including manual ones. For windows see
   * `windows.parallel`.
   */
  readonly overlap?: Overlap
  /**
   * How many runs of this job may run at the same time, across all nodes. `{ limit, key }` limits the runs with the same key. Default: no
   * limit (for windows see `windows.parallel`).
   */
  readonly concurrency?: number | KeyedConcurrency<z.output<C>, WindowOf<W>>
  /**
   * How many attempts of this job, retries included, may begin per unit of time across all nodes, such as `'100/m'`. `{ rate, key }` limits
   * each key separately. Default: no limit.
   */
  readonly rate?: Rate | KeyedRate<z.output<C>, WindowOf<W>>
  /**
   * The upstream jobs. Their windows must cover a window of this job before it runs. Schedules and time zones may differ: a day waits for
   * its hours. All upstream jobs need `windows`. Default: none.
   */
  readonly dependsOn?: readonly Upstream[]
  /**
   * What happens to a window of this job that has already run, if a window that it depends on runs again. `'ignore'`: nothing. `'stale'`:
   * the ledger marks it, and a backfill of missing windows includes it. `'rerun'`: it runs again when the other window has succeeded.
   * Default `'ignore'`.
   */
  readonly onUpstreamChange?: OnUpstreamChange
  /** The priority, from −32,768 to 32,767. A run with a smaller number starts first. Default 0. */
  readonly priority?: number
  /**
   * When to prove the job's ledger, as `app.windows.prove` does: a cron expression or several, in the job's `timezone`. Piko adds the job
   * `<id>:proof`. Its run fails if the proof finds a fault; otherwise its output is the certificate. Needs `windows`.
   */
  readonly proof?: string | readonly string[]
  /**
   * How soon data must be complete, such as `'2h'`: the time from the end of a window until the window must have succeeded. Without
   * windows: the time from a tick until its run must have succeeded. After that time, the job is late, and Piko notifies people (see
   * `onLate`). Default: none.
   */
  readonly deadline?: Duration
  /**
   * Called when runs have failed and will not be retried. There is one call for a burst of failures, on one node. If that node dies, the
   * call may be repeated.
   */
  readonly onFailure?: NoticeHook
  /** Like `onFailure`, but called when data is late. Needs `deadline`. */
  readonly onLate?: NoticeHook
  /** Like `onFailure`, but called when a problem that was reported to `onFailure` or `onLate` is over. */
  readonly onRecovered?: NoticeHook
  /**
   * Kinds of items, by name. Items are small durable units of work, such as pages, files or keys. The handler adds them with
   * `ctx.items.add`, and the run ends when all of them have ended.
   */
  readonly items?: ItemKinds<M, R, z.output<C>, S, WindowOf<W>, z.output<I>>
  /** How many items of a run may fail. Needs `items`. */
  readonly tolerate?: ItemTolerance
  /** How many items a run may have. Needs `items`. */
  readonly limits?: ItemLimits
}

/** Whether the database can store this priority. */
export function isPriority(value: unknown): value is number {
  return isWhole(value) && value >= -32_768 && value <= 32_767
}

/** The type of the window in `ctx`, which depends on the `windows` option. */
export type WindowOf<W> = [W] extends [WindowsSpec] ? Window : undefined

/** The context that the handler of a spec receives. */
export type ContextOf<Spec> =
  Spec extends JobSpec<infer R, infer C, infer S, infer W, infer I, infer _O, infer M>
    ? JobContext<R, z.output<C>, S, WindowOf<W>, z.output<I>, M>
    : never

/** The handler of a job. The second argument holds the borrowed resources, as `ctx.resources` does. */
export type JobHandler<
  R extends ResourceMap,
  C extends z.ZodType,
  S extends SinkMap,
  W extends WindowsSpec | undefined,
  Out,
  I extends z.ZodType = z.ZodType,
  M extends ItemData = Record<never, never>,
> = (ctx: JobContext<R, z.output<C>, S, WindowOf<W>, z.output<I>, M>, resources: BorrowedOf<R>) => Promise<Out> | Out

// All type parameters are `any`, because the registry and the engine store jobs of every type.
/* oxlint-disable typescript/no-explicit-any */
export type AnyJobSpec = JobSpec<any, any, any, any, any, any, any>
export type AnyJobContext = JobContext<any, any, any, any, any, any>
/* oxlint-enable typescript/no-explicit-any */

/** A handler with its options, as the engine uses it. Immutable. The durations of its policy are in milliseconds. */
export interface JobDefinition<T extends JobTypes = JobTypes> extends Typed<T> {
  readonly kind: 'piko.job'
  readonly id: string
  readonly description: string | undefined
  readonly spec: AnyJobSpec
  readonly policy: JobPolicy
  readonly handler: (ctx: AnyJobContext, resources: Readonly<Record<string, unknown>>) => unknown
  /** What a crawl adds to its job; undefined for any other job. */
  readonly extension?: JobExtension
}

export interface WindowPolicy {
  readonly start: Date
  readonly end: Date | undefined
  /** The schedule that sets the bounds of the windows; undefined: the job's own. */
  readonly grid?: ScheduleSpec
  /** How long after its end a window is due; undefined: at its end. */
  readonly delayMs?: number
  readonly catchUp: 'all' | 'latest' | 'none'
  readonly parallel: number
}

/** The options of a spec, with all defaults filled in and all strings parsed. */
export interface JobPolicy {
  readonly schedule: ScheduleSpec | undefined
  readonly windows: WindowPolicy | undefined
  /** The maximum delay of a start after its tick; 0: none. */
  readonly jitterMs: number
  readonly retry: RetryPolicy
  readonly timeoutMs: number | undefined
  readonly misfireGraceMs: number
  /** How many ticks beyond the grace time still run; the latest ones are chosen. */
  readonly misfireLimit: number
  readonly overlap: Overlap
  /** The limits of the job's runs; undefined if there are none. */
  readonly limits: AdmissionLimits | undefined
  readonly concurrencyKey: ((run: AnyAdmissible) => unknown) | undefined
  readonly rateKey: ((run: AnyAdmissible) => unknown) | undefined
  /** The ids of the upstream jobs. */
  readonly dependsOn: readonly string[]
  readonly onUpstreamChange: OnUpstreamChange
  readonly priority: number
  /** The schedule of the extra job that proves the ledger; undefined if there is none. */
  readonly proof: ScheduleSpec | undefined
  /** How soon after its end a window must succeed, or a run after its tick; undefined if there is no deadline. */
  readonly deadlineMs: number | undefined
  readonly hooks: NoticeHooks
  /** The items of the job; undefined for a job without items. */
  readonly items: ItemPolicy | undefined
}

/** A run of any job, as key functions receive it. */
export interface AnyAdmissible {
  readonly config: unknown
  readonly input: unknown
  readonly window: Window | undefined
}
