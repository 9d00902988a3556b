import { type BackfillState } from '../ledger/backfill.ts'
import { type Run } from '../run/run.ts'
import { type LedgerWindow } from '../store/windows/window-store.ts'
import { formatMs } from '../time/duration.ts'
import { Schedule, type ScheduleSpec } from '../time/schedule.ts'

/** What is known about a job, and about one tick of it where one was asked for. */
export interface WhyFacts {
  readonly jobId: string
  readonly now: Date
  /** As the database has it. */
  readonly schedule: ScheduleSpec | undefined
  /** What is wrong with an edited schedule that nobody can read; undefined: nothing. */
  readonly unread: string | undefined
  readonly isPaused: boolean
  readonly nextTick: Date | undefined
  /** The tick asked for, else the last one that there is a row of. */
  readonly tick: Date | undefined
  /** The run of the tick, or of its window. */
  readonly run: Run | undefined
  /** The window that the instant belongs to, or that ends with it. */
  readonly window: LedgerWindow | undefined
  /** Of what it waits for: the window that is in the way. */
  readonly blocker: LedgerWindow | undefined
  /** Of the run. */
  readonly backfill: { readonly id: number; readonly state: BackfillState } | undefined
  /** Nodes whose leases have not run out. */
  readonly liveNodes: number
}

/** Why a job did or did not run, in one sentence. */
export function whySentence(facts: WhyFacts): string {
  const { jobId, tick, unread, window } = facts
  const edited =
    unread === undefined ? '' : `; its edited schedule counts for nothing, the one before goes on: ${unread}`
  const bounds = window ? `, window ${text(window.start)} to ${text(window.end)}` : ''
  return tick
    ? `${jobId} at ${text(tick)}${bounds}: ${whyAt(tick, facts)}${edited}.`
    : `${jobId}: ${whyNever(facts)}${edited}.`
}

function whyAt(tick: Date, facts: WhyFacts): string {
  const { run, window } = facts
  if (window?.state === 'waiting') return whyWaiting(window, facts.blocker)
  if (window?.state === 'skipped') {
    return 'its window was skipped: it was missed, and windows.catchUp says not to run it; a backfill does'
  }
  if (window?.state === 'cancelled' && !run) return 'its window was cancelled while it waited for other jobs'
  if (!run) return whyNoRun(tick, facts)
  return window?.state === 'stale'
    ? `${whyRun(run, facts)}, and is stale: a window that it depends on was run again`
    : whyRun(run, facts)
}

function whyRun(run: Run, { now, liveNodes, backfill }: WhyFacts): string {
  const name = `run ${run.id}`
  switch (run.state) {
    case 'succeeded':
      return `${name} succeeded at ${text(run.finishedAt)}, after ${attempts(run)}`
    case 'failed':
      return `${name} failed at ${text(run.finishedAt)}, after ${attempts(run)}: ${run.error?.message ?? 'without an error'}`
    case 'cancelled':
      return `${name} was cancelled at ${text(run.finishedAt)}`
    case 'running':
      return `${name} is running since ${text(run.startedAt)} on node ${run.nodeId ?? '?'}`
    case 'skipped':
      return `it was skipped (${run.reason ?? 'no reason'}): ${SKIPPED[run.reason ?? ''] ?? 'see docs/lifecycle.md'}`
    case 'queued':
      if (backfill?.state === 'paused') return `${name} waits, since backfill ${backfill.id} is paused`
      if (run.runAt > now) {
        const why =
          run.attempt > 0 ? `to be tried again: ${run.error?.message ?? 'it failed'}` : 'and is not due before'
        return `${name} waits until ${text(run.runAt)}, ${why}`
      }
      if (liveNodes === 0)
        return `${name} is due since ${text(run.runAt)}, and no node is running that could execute it`
      return (
        `${name} is due since ${text(run.runAt)} (${formatMs(now.getTime() - run.runAt.getTime())}) and waits for a free slot: ` +
        `a limit of the job (concurrency, rate, overlap) or of the nodes is reached, or no running node knows the job`
      )
  }
}

function whyWaiting({ waitsFor }: LedgerWindow, blocker: LedgerWindow | undefined): string {
  if (!waitsFor) return 'it waits for the jobs that it depends on, and no leading node has looked at them yet'
  const { jobId, at } = waitsFor
  if (!blocker) return `it waits for ${jobId} from ${text(at)} on, and the ledger has no window there yet`
  const { start, end, state, runId, error } = blocker
  if (state === 'succeeded')
    return `it waited for ${jobId} from ${text(start)} to ${text(end)}; what else it waits for is looked at within a poll`
  const run = runId === undefined ? '' : ` (run ${runId}${error === undefined ? '' : `: ${error}`})`
  return `it waits for the window of ${jobId} from ${text(start)} to ${text(end)}, which is ${state}${run}`
}

const SKIPPED: Readonly<Record<string, string>> = {
  misfire: 'no node planned it within misfireGraceTime',
  overlap: 'an earlier run of the job was queued or running, and overlap says not to start another',
}

function whyNoRun(tick: Date, { now, schedule, isPaused, nextTick, liveNodes }: WhyFacts): string {
  if (!schedule) return 'the job has no schedule; it runs only when somebody asks'
  const next = Schedule.of(schedule).next(new Date(tick.getTime() - 1))
  if (next?.getTime() !== tick.getTime()) {
    return `its schedule does not fire then; the next instant at which it does is ${text(next)}`
  }
  if (isPaused) return 'the job is paused'
  if (tick > now) return 'that is yet to come'
  if (liveNodes === 0) return 'no node is running; what was missed is decided when one starts'
  if (nextTick && tick >= nextTick) return 'it is due and not planned yet; no running node leads, or none knows the job'
  return 'it was before the job was registered, or its run was deleted by the retention of [history]'
}

function whyNever({ schedule, isPaused, nextTick }: WhyFacts): string {
  if (!schedule) return 'it has no schedule; it runs only when somebody asks'
  if (isPaused) return 'it is paused'
  return nextTick ? `no tick was due yet; the next is ${text(nextTick)}` : 'its schedule has no further tick'
}

function attempts({ attempt }: Run): string {
  return attempt === 1 ? 'one attempt' : `${attempt} attempts`
}

function text(date: Date | undefined): string {
  return date?.toISOString().replace('.000Z', 'Z') ?? 'never'
}
