import type { Run } from '../../run/run.ts'
import { previewOf } from '../../time/preview.ts'
import { Schedule } from '../../time/schedule.ts'
import { outsideOf } from './excluded.ts'
import { SKIPPED, text, type WhyFacts, whyWaiting } from './why-sentence.ts'
import type { WhyChange } from './why-change.ts'
import { WAIT_RULES, type WaitRule, WAITS } from './why-waits.ts'

/** The rules that decide whether a job runs, in the order in which Piko applies them. */
export const WHY_RULES = [
  'schedule',
  'calendar',
  'clock change',
  'pause',
  'planning',
  'misfire',
  'overlap',
  'window',
  'dependency',
  'backfill',
  'due',
  ...WAIT_RULES,
  'run',
] as const

export type WhyRule = (typeof WHY_RULES)[number]

/** The decision of one rule. */
export interface WhyStep {
  readonly rule: WhyRule
  /**
   * `passed`: the rule allows the job to run. `stopped`: because of this rule, the job did not run. `waiting`: the rule will allow the job
   * to run later. `info`: the rule decides nothing.
   */
  readonly verdict: 'passed' | 'stopped' | 'waiting' | 'info'
  /** The facts behind the decision, for people. */
  readonly evidence: string
  readonly change: WhyChange | undefined
}

type Decision = Pick<WhyStep, 'verdict' | 'evidence'> & { readonly change?: WhyChange | undefined }

/** Returns the decision of a rule; undefined if the rule does not apply. */
type Rule = (facts: WhyFacts) => Decision | undefined

/** Returns the decisions about a tick or window, up to the first rule that stops the job or makes it wait. Pure. */
export function whySteps(facts: WhyFacts): WhyStep[] {
  const steps: WhyStep[] = []
  for (const rule of WHY_RULES) {
    const found = RULES[rule](facts)
    if (!found) continue
    steps.push({ change: undefined, ...found, rule })
    if (found.verdict === 'stopped' || found.verdict === 'waiting') break
  }
  return steps
}

const RULES: Readonly<Record<WhyRule, Rule>> = {
  schedule: (facts) => {
    const { schedule, unread, tick, run, window } = facts
    const edited = unread === undefined ? '' : `; an edited schedule is invalid and not in force: ${unread}`
    if (run || window) {
      const kind = run?.kind === undefined ? 'a window of the ledger' : `a ${run.kind} run`
      return { verdict: 'passed', evidence: `${kind} exists for it${edited}` }
    }
    if (!schedule)
      return stopped('the job has no schedule; it runs only on request', { verb: 'runs.start', jobId: facts.jobId })
    const change = { verb: 'schedules.set', jobId: facts.jobId }
    if (!tick) return { verdict: 'info', evidence: `no tick was requested${edited}`, change }
    const next = nextOf(tick, facts)
    if (facts.unrun)
      return {
        verdict: 'passed',
        evidence: `the instant is in the window from ${text(facts.unrun.start)} to ${text(facts.unrun.end)}${edited}`,
      }
    if (next?.getTime() === tick.getTime()) return { verdict: 'passed', evidence: `it fires at ${text(tick)}${edited}` }
    if (facts.excluded !== undefined)
      return { verdict: 'passed', evidence: `without its calendar, it fires at ${text(tick)}${edited}` }
    const outside = outsideOf(schedule, tick)
    return stopped(
      `it does not fire at ${text(tick)}${outside === undefined ? '' : ` (${outside})`}; it next fires at ${text(next)}${edited}`,
      change,
    )
  },
  calendar: (facts) => {
    const { excluded, tick, run, window, unrun, schedule, jobId } = facts
    if (run || window || unrun || !schedule || schedule.kind === 'at' || !schedule.exclude || !tick) return undefined
    const change = { verb: 'schedules.set', jobId }
    if (excluded === undefined) return { verdict: 'passed', evidence: 'its calendar does not leave this tick out' }
    return stopped(`${excluded}; it next fires at ${text(nextOf(tick, facts))}`, change)
  },
  'clock change': ({ schedule, run, tick, jobId }) => {
    const at = run?.tick ?? tick
    if (!schedule || !at || schedule.kind === 'at') return undefined
    const [found] = previewOf(schedule, at, 1, 'none', jobId).ticks
    if (found?.at.getTime() !== at.getTime() || found.transition === null) return undefined
    const what =
      found.transition === 'gap'
        ? 'the clocks skip this time on this day, so the tick fires after the gap'
        : 'the clocks show this time twice on this day'
    return { verdict: 'info', evidence: `${what}: ${found.local} (${found.offset})` }
  },
  pause: ({ isPaused, run, jobId }) => {
    const change = isPaused ? ({ verb: 'jobs.resume', jobId } as const) : ({ verb: 'jobs.pause', jobId } as const)
    if (!isPaused) return { verdict: 'passed', evidence: 'the job is not paused', change }
    return run
      ? { verdict: 'info', evidence: 'the job is paused now; runs that exist continue', change }
      : stopped('the job is paused: no tick starts a run', change)
  },
  planning: (facts) => {
    const { run, window, tick, now, nextTick, liveNodes, unrun, due, jobId } = facts
    if (run) return { verdict: 'passed', evidence: `run ${run.id} was stored at ${text(run.createdAt)}` }
    if (window) return { verdict: 'passed', evidence: `the ledger has the window, as ${window.state}` }
    if (unrun?.isLeftOut) {
      return stopped('the ledger does not have this window: it never ran', backfillOf(jobId, unrun))
    }
    if (unrun) return waiting(`it is due at ${text(due?.at(unrun.end))}; it is planned then`)
    if (!tick) return nextTick ? waiting(`no tick has been due yet; the next is ${text(nextTick)}`) : undefined
    if (tick > now) return waiting('that is in the future')
    if (liveNodes === 0) return stopped('no node is running; the next one to start decides about missed ticks')
    if (nextTick && tick >= nextTick)
      return waiting('it is due but not planned yet: no running node is the leader, or none knows the job')
    return stopped('the job was registered later, or the retention of [history] deleted the run', {
      verb: 'runs.start',
      jobId,
    })
  },
  misfire: ({ run, window, jobId }) => {
    if (window?.state === 'skipped') {
      return stopped('the window was missed, and windows.catchUp leaves it out', backfillOf(jobId, window))
    }
    if (run?.state !== 'skipped' || run.reason !== 'misfire') return undefined
    return stopped(SKIPPED['misfire'] ?? '', { verb: 'runs.start', jobId })
  },
  overlap: ({ run, jobId }) => {
    if (run?.state !== 'skipped') return undefined
    return stopped(SKIPPED[run.reason ?? ''] ?? (run.reason || 'it was skipped'), { verb: 'runs.start', jobId })
  },
  window: ({ window, run, jobId }) => {
    if (!window) return undefined
    const bounds = `${text(window.start)} to ${text(window.end)}`
    if (window.state === 'stale') {
      return {
        verdict: 'info',
        evidence: `the window ${bounds} is stale: its input data has changed`,
        change: backfillOf(jobId, window),
      }
    }
    if (window.state === 'cancelled' && !run)
      return stopped('the window was cancelled while it waited for other jobs', backfillOf(jobId, window))
    return { verdict: 'passed', evidence: `the window ${bounds} is ${window.state}` }
  },
  dependency: ({ window, blocker }) => {
    if (window?.state !== 'waiting') return undefined
    const evidence = whyWaiting(window, blocker)
    const { waitsFor } = window
    if (!waitsFor) return waiting(evidence)
    return waiting(
      evidence,
      blocker?.runId !== undefined && blocker.state === 'failed'
        ? { verb: 'runs.replay', runId: blocker.runId }
        : {
            verb: 'backfills.create',
            jobId: waitsFor.jobId,
            from: blocker?.start ?? waitsFor.at,
            ...(blocker && { to: blocker.end }),
          },
    )
  },
  backfill: ({ backfill, run }) => {
    if (!backfill) return undefined
    const evidence = `the run belongs to backfill ${backfill.id}, which is ${backfill.state}`
    if (backfill.state !== 'paused' || run?.state !== 'queued') return { verdict: 'passed', evidence }
    return waiting(evidence, { verb: 'backfills.resume', backfillId: backfill.id })
  },
  due: ({ run, now }) => {
    if (!run || run.state !== 'queued') return undefined
    if (run.runAt <= now) return { verdict: 'passed', evidence: `it has been due since ${text(run.runAt)}` }
    const why = run.attempt > 0 ? `, for its next attempt: ${run.error?.message ?? 'it failed'}` : ''
    return waiting(`it is due at ${text(run.runAt)}${why}`, { verb: 'runs.cancel', runId: run.id })
  },
  ...(Object.fromEntries(
    WAIT_RULES.map((rule): [WaitRule, Rule] => [rule, ({ wait }) => wait && WAITS[rule](wait)]),
  ) as Readonly<Record<WaitRule, Rule>>),
  run: ({ run, window }) => {
    if (!run) return undefined
    const step = ended(run)
    return window?.state === 'stale' ? { ...step, verdict: 'info' } : step
  },
}

function ended(run: Run): Decision {
  const { id, state, finishedAt, attempt, error } = run
  const tries = attempt === 1 ? 'one attempt' : `${attempt} attempts`
  const replay = { verb: 'runs.replay', runId: id }
  switch (state) {
    case 'succeeded':
      return {
        verdict: 'passed',
        evidence: `run ${id} succeeded at ${text(finishedAt)}, after ${tries}`,
        change: undefined,
      }
    case 'failed':
      return stopped(
        `run ${id} failed at ${text(finishedAt)}, after ${tries}: ${error?.message ?? 'without an error'}`,
        replay,
      )
    case 'cancelled':
      return stopped(`run ${id} was cancelled at ${text(finishedAt)}`, replay)
    default:
      return waiting(`run ${id} has been running since ${text(run.startedAt)} on node ${run.nodeId ?? '?'}`, {
        verb: 'runs.cancel',
        runId: id,
      })
  }
}

function stopped(evidence: string, change?: WhyChange): Decision {
  return { verdict: 'stopped', evidence, change }
}

function waiting(evidence: string, change?: WhyChange): Decision {
  return { verdict: 'waiting', evidence, change }
}

function backfillOf(jobId: string, { start, end }: { readonly start: Date; readonly end: Date }): WhyChange {
  return { verb: 'backfills.create', jobId, from: start, to: end }
}

function nextOf(tick: Date, { schedule, due }: WhyFacts): Date | undefined {
  if (due) return due.firstFrom(tick)
  return schedule && Schedule.of(schedule).next(new Date(tick.getTime() - 1))
}
