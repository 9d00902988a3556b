import type { BackfillState } from '../../ledger/backfill.ts'
import type { Run } from '../../run/run.ts'
import type { LedgerWindow } from '../../store/windows/window-store.ts'
import type { DueWindows } from '../../time/due-windows.ts'
import { dateOfWindow } from '../../time/local-dates.ts'
import { formatMs } from '../../time/duration.ts'
import { Schedule, type ScheduleSpec } from '../../time/schedule.ts'
import type { Window } from '../../time/window.ts'
import { outsideOf } from './excluded.ts'
import { type WaitFacts, waitText } from './why-waits.ts'

/** A window that is not in the ledger. */
export interface UnrunWindow extends Window {
  /** Whether the window will never be planned, because `catchUp` left it out or planning began later. */
  readonly isLeftOut: boolean
}

/** What is known about a job and about one of its ticks. */
export interface WhyFacts {
  readonly jobId: string
  readonly now: Date
  /** The schedule in the database. */
  readonly schedule: ScheduleSpec | undefined
  /** Why the edited schedule can't be read; undefined if it can. */
  readonly unread: string | undefined
  readonly isPaused: boolean
  readonly nextTick: Date | undefined
  /** The tick to explain: the requested instant, otherwise the one that `whyOf` has chosen. */
  readonly tick: Date | undefined
  /** The run of the tick, or of the tick's window. */
  readonly run: Run | undefined
  /** The window that the instant selects. */
  readonly window: LedgerWindow | undefined
  /** The window that contains the instant, if it is not in the ledger. */
  readonly unrun: UnrunWindow | undefined
  readonly takenAs: 'start' | 'tick' | 'inside' | undefined
  /** The time zone of the dates that name the job's windows. */
  readonly zone: string
  /** When the job's windows are due; undefined without windows or without a schedule. */
  readonly due: DueWindows | undefined
  /** The upstream window that blocks this one. */
  readonly blocker: LedgerWindow | undefined
  /** The backfill of the run. */
  readonly backfill: { readonly id: number; readonly state: BackfillState } | undefined
  /** How many nodes have a valid lease. */
  readonly liveNodes: number
  /** What the calendar of the schedule says about the tick, if the tick would fire without it. */
  readonly excluded: string | undefined
  /** What the run may be waiting for; undefined unless it is queued and due. */
  readonly wait: WaitFacts | undefined
}

/** Explains in one sentence why a job ran or did not run. */
export function whySentence(facts: WhyFacts): string {
  const { jobId, tick, unread, window } = facts
  const edited =
    unread === undefined ? '' : `; its edited schedule is invalid, so the previous one stays in force: ${unread}`
  const shown = window ?? (tick && unrunReason(tick, facts) !== undefined ? facts.unrun : undefined)
  const bounds = shown ? `, ${takenText(facts.takenAs)}window ${windowText(shown, facts.zone)}` : ''
  if (tick) return `${jobId} at ${text(tick)}${bounds}: ${whyAt(tick, facts)}${edited}.`
  return `${jobId}: ${facts.run ? whyRun(facts.run, facts) : whyNever(facts)}${edited}.`
}

function takenText(takenAs: WhyFacts['takenAs']): string {
  switch (takenAs) {
    case 'start':
      return 'the start of '
    case 'tick':
      return 'the tick of '
    case 'inside':
      return 'inside '
    case undefined:
      return ''
  }
}

function windowText(window: Window, zone: string): string {
  const date = zone === 'UTC' ? undefined : dateOfWindow(window, zone)
  return `${text(window.start)} to ${text(window.end)}${date === undefined ? '' : `, ${date} (${zone})`}`
}

function whyAt(tick: Date, facts: WhyFacts): string {
  const { run, window } = facts
  if (window?.state === 'waiting') return whyWaiting(window, facts.blocker)
  if (window?.state === 'skipped') {
    return 'its window was missed, and windows.catchUp leaves it out; a backfill can run it'
  }
  if (window?.state === 'cancelled' && !run) return 'its window was cancelled while it waited for other jobs'
  if (!run) return unrunReason(tick, facts) ?? whyNoRun(tick, facts)
  return window?.state === 'stale'
    ? `${whyRun(run, facts)}, and its window is stale: a window that it depends on ran again`
    : whyRun(run, facts)
}

function whyRun(run: Run, { now, backfill, wait }: WhyFacts): string {
  const name = `run ${run.id}`
  switch (run.state) {
    case 'succeeded':
      return `${name} succeeded at ${text(run.finishedAt)}, after ${attempts(run)}`
    case 'failed':
      return `${name} failed at ${text(run.finishedAt)}, after ${attempts(run)}: ${run.error?.message ?? 'without an error'}`
    case 'cancelled':
      return `${name} was cancelled at ${text(run.finishedAt)}`
    case 'running':
      return `${name} has been running since ${text(run.startedAt)} on node ${run.nodeId ?? '?'}`
    case 'skipped':
      return `it was skipped (${run.reason ?? 'no reason'}): ${SKIPPED[run.reason ?? ''] ?? 'see docs/lifecycle.md'}`
    case 'queued':
      if (backfill?.state === 'paused') return `${name} waits because backfill ${backfill.id} is paused`
      if (run.runAt > now) {
        const why = run.attempt > 0 ? ` for its next attempt: ${run.error?.message ?? 'it failed'}` : ', when it is due'
        return `${name} waits until ${text(run.runAt)}${why}`
      }
      return `${name} has been due since ${text(run.runAt)} (${formatMs(now.getTime() - run.runAt.getTime())}) and waits: ${
        wait ? waitText(wait) : 'a node claims it within one poll'
      }`
  }
}

/** Explains why a window is waiting. */
export function whyWaiting({ waitsFor }: LedgerWindow, blocker: LedgerWindow | undefined): string {
  if (!waitsFor) return 'it waits for the jobs that it depends on, and no leader has checked them yet'
  const { jobId, at } = waitsFor
  if (!blocker) return `it waits for ${jobId} from ${text(at)} on, and the ledger has no window there yet`
  const { start, end, state, runId, error } = blocker
  if (state === 'succeeded')
    return `it waited for ${jobId} from ${text(start)} to ${text(end)}; its other dependencies are checked within one poll`
  const run = runId === undefined ? '' : ` (run ${runId}${error === undefined ? '' : `: ${error}`})`
  return `it waits for the window of ${jobId} from ${text(start)} to ${text(end)}, which is ${state}${run}`
}

/** Why a tick was skipped, by the stored reason of its run. */
export const SKIPPED: Readonly<Record<string, string>> = {
  misfire: 'no node planned it within misfireGraceTime',
  overlap: 'an earlier run of the job was queued or running, and the overlap policy does not start another',
}

/**
 * Explains why a window is not in the ledger. Undefined if there is no such window, or if it is never due. Also undefined for a tick of the
 * schedule, which `whyNoRun` explains, unless planning left the window out.
 */
function unrunReason(tick: Date, { unrun, run, due, isPaused }: WhyFacts): string | undefined {
  if (!unrun || run) return undefined
  if (unrun.isLeftOut) return 'the ledger does not have this window: it never ran; a backfill can run it'
  if (due?.firstFrom(tick)?.getTime() === tick.getTime()) return undefined
  const at = due?.at(unrun.end)
  if (isPaused || !at) return isPaused ? 'the job is paused' : undefined
  return `it is not planned yet: it is due at ${text(at)}`
}

function whyNoRun(tick: Date, { now, schedule, due, isPaused, nextTick, liveNodes, excluded }: WhyFacts): string {
  if (!schedule) return 'the job has no schedule; it runs only on request'
  const next = due ? due.firstFrom(tick) : Schedule.of(schedule).next(new Date(tick.getTime() - 1))
  if (next?.getTime() !== tick.getTime()) {
    if (excluded !== undefined) return `its calendar leaves this tick out: ${excluded}; it next fires at ${text(next)}`
    const outside = outsideOf(schedule, tick)
    return `its schedule does not fire then${outside === undefined ? '' : ` (${outside})`}; it next fires at ${text(next)}`
  }
  if (isPaused) return 'the job is paused'
  if (tick > now) return 'that is in the future'
  if (liveNodes === 0) return 'no node is running; the next one to start decides about missed ticks'
  if (nextTick && tick >= nextTick)
    return 'it is due but not planned yet: no running node is the leader, or none knows the job'
  return 'the job was registered later, or the retention of [history] deleted the run'
}

function whyNever({ schedule, isPaused, nextTick }: WhyFacts): string {
  if (!schedule) return 'it has no schedule; it runs only on request'
  if (isPaused) return 'it is paused'
  return nextTick ? `no tick has been due yet; the next is ${text(nextTick)}` : 'its schedule has no further tick'
}

function attempts({ attempt }: Run): string {
  return attempt === 1 ? 'one attempt' : `${attempt} attempts`
}

/** Formats an instant in UTC. Milliseconds are shown only if they are not zero. */
export function text(date: Date | undefined): string {
  return date?.toISOString().replace('.000Z', 'Z') ?? 'never'
}
