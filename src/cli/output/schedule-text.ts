import type { ScheduleSpec } from '../../time/schedule.ts'

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

/** Returns a schedule as text: `0 * * * *`, `every 1h30m`, `at 2026-01-01T00:00:00Z`, or `-` for a job that runs only on request. */
export function scheduleText(spec: ScheduleSpec | undefined): string {
  switch (spec?.kind) {
    case undefined:
      return '-'
    case 'cron':
      return Array.isArray(spec.cron) ? spec.cron.join(' | ') : (spec.cron as string)
    case 'every':
      return `every ${exactDuration(spec.everyMs)}`
    case 'at':
      return `at ${spec.at}`
  }
}

function exactDuration(ms: number): string {
  let rest = ms
  let text = ''
  for (const [unit, size] of UNITS) {
    const amount = Math.floor(rest / size)
    rest -= amount * size
    if (amount > 0) text += `${amount}${unit}`
  }
  return text
}
