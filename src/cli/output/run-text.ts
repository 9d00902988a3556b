import type { Run } from '../../run/run.ts'
import { visibleBlock, visibleJson } from '../../visible.ts'
import { formatMs } from '../../time/duration.ts'
import { rangeText } from './local-window.ts'
import { runStateColour } from './run-state-colour.ts'
import { styleFor } from './style.ts'

export function durationMs({ startedAt, finishedAt }: Pick<Run, 'startedAt' | 'finishedAt'>): number | undefined {
  return startedAt && finishedAt && finishedAt.getTime() - startedAt.getTime()
}

/** Returns the duration as text, or `-` if the run or attempt has not begun or has not ended. */
export function durationText(span: Parameters<typeof durationMs>[0]): string {
  const ms = durationMs(span)
  return ms === undefined ? '-' : formatMs(ms)
}

/** Returns a run in the form that `--json` prints. */
export function runData(run: Run): object {
  return {
    id: run.id,
    jobId: run.jobId,
    state: run.state,
    attempt: run.attempt,
    durationMs: durationMs(run) ?? null,
    window: run.window ?? null,
    backfillId: run.backfillId ?? null,
    config: run.config ?? null,
    configVersion: run.configVersion ?? null,
    input: run.input ?? null,
    output: run.output ?? null,
    error: run.error ?? null,
    createdAt: run.createdAt,
    startedAt: run.startedAt ?? null,
    finishedAt: run.finishedAt ?? null,
    cancelRequestedAt: run.cancelRequestedAt ?? null,
  }
}

/** Aligns the second and later lines of a value with its first line. */
const NEXT = ' '.repeat(10)

/** Formats a run as text for people. @param zone the zone of its job's windows */
export function runText(run: Run, zone = 'UTC'): string {
  const style = styleFor(process.stdout)
  const duration = durationMs(run)
  const lines: [string, string | undefined][] = [
    ['run', String(run.id)],
    ['job', visibleBlock(run.jobId, NEXT)],
    ['state', runStateColour(style, run.state)(run.state)],
    ['window', run.window && rangeText(run.window, zone)],
    ['attempt', run.attempt > 0 ? String(run.attempt) : undefined],
    ['config', run.configVersion === undefined ? undefined : `version ${run.configVersion}`],
    ['duration', duration === undefined ? undefined : formatMs(duration)],
    ['output', run.output === undefined ? undefined : visibleJson(run.output)],
    ['error', run.error && visibleBlock(`${run.error.name}: ${run.error.message}`, NEXT)],
  ]
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)} ${value}`])).join('\n')
}
