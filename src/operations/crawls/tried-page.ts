import { isError, propertyOf } from '../../errors-read.ts'
import { describe, PikoError, toError } from '../../errors.ts'
import { ItemLeave } from '../../engine/items/item-attempt.ts'
import { timelineOf } from '../../engine/planning/plan-job.ts'
import { itemFaultOf } from '../../item/item-error.ts'
import { settleFailure } from '../../item/settle-item.ts'
import type { KindPolicy } from '../../job/items/item-policy.ts'
import type { TrialReport } from '../../job/job-extension.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { runError, type RunError } from '../../run/run-error.ts'
import type { WindowInput } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import type { Reach } from '../reach.ts'
import { windowOf } from '../window-request.ts'
import type { TryOptions, TryRequest } from './crawl-options.ts'
import { placeOf } from './error-place.ts'
import { Trial } from './trial.ts'
import type { TriedRows } from './tried-rows.ts'

/** A page that was loaded and parsed without storing anything, as `app.crawls.try` returns it. */
export interface TriedPage extends TrialReport {
  readonly crawl: string
  readonly step: string
  /** The method and the canonical URL of the page's request. */
  readonly request: string
  readonly host: string
  /** How the page would have ended. `later`: the step called `ctx.retryLater`. */
  readonly outcome: 'done' | 'skipped' | 'later' | 'failed'
  /** Why the page would be skipped; undefined if it would not. */
  readonly reason: string | undefined
  /** The failure class of the page; undefined if it did not fail. */
  readonly class: string | undefined
  /** The error of the page; undefined if it did not fail. `place` is the first position in the stack that is in your own code. */
  readonly error: (RunError & { readonly place: string | undefined }) | undefined
  /** After how many milliseconds the page would be loaded or parsed again; undefined: not again. */
  readonly againInMs: number | undefined
  /** The rows that the step wrote, by sink name. */
  readonly rows: Readonly<Record<string, TriedRows>>
  /** Milliseconds from the request until the step had ended. */
  readonly ms: number
}

type Parts = Pick<Reach, 'store' | 'prepare' | 'locks' | 'shared' | 'caches' | 'trial'>
type Ending = Pick<TriedPage, 'outcome' | 'reason' | 'class' | 'error' | 'againInMs'>

/**
 * Loads and parses one page without storing anything.
 *
 * @throws PikoError `USAGE`, `CONFIG_INVALID`, `WINDOW_UNKNOWN`
 * @throws the reason of `signal`
 */
export async function tryPage(
  reach: Parts,
  job: JobDefinition,
  request: TryRequest,
  { config: own, window: asked, signal }: TryOptions,
): Promise<TriedPage> {
  const { extension } = job
  if (!extension) {
    throw new PikoError(
      'USAGE',
      `job "${job.id}" is not a crawl; app.crawls.try expects a job that defineCrawl returned`,
      {
        details: { jobId: job.id },
      },
    )
  }
  const page = await extension.trial(request)
  const config = reach.prepare.configOf(job, own)
  const window = await windowFor(reach, job, asked)
  const close = extension.keepOpen()
  try {
    const kind = kindOf(job, page.kind)
    const trial = new Trial({ reach, job, kind, page, config, window, signal })
    const { clock } = reach.trial
    const startedAt = clock.monotonic()
    const ending = await trial.run().then(
      () => DONE,
      (thrown: unknown) => endingOf(thrown, kind, clock.now()),
    )
    const ms = Math.round(clock.monotonic() - startedAt)
    // After an abort by the caller, there is no result.
    signal?.throwIfAborted()
    return {
      ...{ crawl: job.id, step: page.kind, request: page.key, host: page.lane },
      ...ending,
      ...page.report(),
      rows: Object.fromEntries(Object.entries(trial.writers).map(([sink, { tried }]) => [sink, tried])),
      ms,
    }
  } finally {
    await close()
  }
}

const DONE: Ending = {
  outcome: 'done',
  reason: undefined,
  class: undefined,
  error: undefined,
  againInMs: undefined,
}

function endingOf(thrown: unknown, kind: KindPolicy, now: number): Ending {
  const error = toError(thrown)
  if (error instanceof ItemLeave) {
    return 'skip' in error.how
      ? { ...DONE, outcome: 'skipped', reason: error.how.skip }
      : { ...DONE, outcome: 'later', againInMs: error.how.laterMs }
  }
  const { class: name, delayMs } = settleFailure(error, {}, kind.budgets, 1, now)
  return {
    outcome: 'failed',
    reason: undefined,
    class: name,
    error: { ...runError(shownError(error)), place: placeOf(error) },
    againInMs: delayMs,
  }
}

/** Returns the error that the step or the downloader threw, without the outer error that only adds a class. */
function shownError(error: Error): Error {
  const cause = propertyOf(error, 'cause')
  return itemFaultOf(error) && isError(cause) ? cause : error
}

/**
 * Returns the window of the trial: the given one, or the last window that has ended. If none has ended, returns the first one. Undefined
 * for a crawl without windows.
 */
async function windowFor(
  { store, trial }: Parts,
  job: JobDefinition,
  asked: WindowInput | undefined,
): Promise<Window | undefined> {
  const { windows } = job.policy
  if (asked !== undefined || !windows) return windowOf(store, job, asked)
  const timeline = timelineOf(job, windows, await store.jobs.generations(job.id))
  return timeline.latestBefore(new Date(trial.clock.now())) ?? timeline.first
}

function kindOf({ id, policy }: JobDefinition, name: string): KindPolicy {
  const kind = policy.items?.kinds.get(name)
  if (kind) return kind
  throw new PikoError('USAGE', `crawl "${id}" has no step ${describe(name)}`, { details: { jobId: id, step: name } })
}
