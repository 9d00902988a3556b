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

/** A page that was loaded and parsed, and of which nothing is stored: the answer of `app.crawls.try`. */
export interface TriedPage extends TrialReport {
  readonly crawl: string
  readonly step: string
  /** Its method and its canonical URL. */
  readonly request: string
  readonly host: string
  /** How it would have ended. `later`: it asked to be loaded again. */
  readonly outcome: 'done' | 'skipped' | 'later' | 'failed'
  /** Why it would be skipped. */
  readonly reason: string | undefined
  /** The class of its failure. */
  readonly class: string | undefined
  /** `place`: the first line of the stack in your own code. */
  readonly error: (RunError & { readonly place: string | undefined }) | undefined
  /** When it would be loaded or parsed again, in milliseconds; undefined: never. */
  readonly againInMs: number | undefined
  /** By the name of the sink. */
  readonly rows: Readonly<Record<string, TriedRows>>
  /** From the request until the step had ended. */
  readonly ms: number
}

type Parts = Pick<Reach, 'store' | 'prepare' | 'locks' | 'shared' | 'caches' | 'trial'>
type Ending = Pick<TriedPage, 'outcome' | 'reason' | 'class' | 'error' | 'againInMs'>

/** @throws PikoError `USAGE`, `CONFIG_INVALID`, `WINDOW_UNKNOWN` */
export async function tryPage(
  reach: Parts,
  job: JobDefinition,
  request: TryRequest,
  { config: own, window: asked, signal }: TryOptions,
): Promise<TriedPage> {
  const { extension } = job
  if (!extension) {
    throw new PikoError('USAGE', `job "${job.id}" is no crawl; app.crawls.try takes what defineCrawl returned`, {
      details: { jobId: job.id },
    })
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
    // What the caller ended is no answer.
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

/** What the step or the downloader threw; the error around it only chooses the budget. */
function shownError(error: Error): Error {
  const cause = propertyOf(error, 'cause')
  return itemFaultOf(error) && isError(cause) ? cause : error
}

/** Without a request for a window, the step sees the last one that is over. */
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
