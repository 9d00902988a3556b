import { isRecord } from '../shared/record.ts'

export const KINDS = ['cron', 'every', 'at', 'none'] as const
export const GAPS = ['', 'skip', 'after'] as const
export const OVERLAPS = ['', 'first', 'second', 'both'] as const

/** A schedule while a person types it. */
export interface Draft {
  readonly kind: (typeof KINDS)[number]
  /** The cron expressions, one per line. */
  readonly cron: string
  readonly timezone: string
  readonly gap: string
  readonly overlap: string
  /** The interval as text, such as `10m`. */
  readonly every: string
  readonly at: string
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const EPOCH = '1970-01-01T00:00:00.000Z'

/** Returns a draft that begins with the current schedule. Pure. */
export function draftOf(schedule: unknown): Draft {
  const given = isRecord(schedule) ? schedule : {}
  const { kind, cron, timezone = 'UTC', dst, everyMs, at } = given
  const policy = isRecord(dst) ? dst : {}
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  return {
    kind: KINDS.find((one) => one === kind) ?? 'none',
    cron: Array.isArray(cron) ? cron.join('\n') : text(cron) || '0 6 * * *',
    timezone: text(timezone),
    gap: text(policy['gap']),
    overlap: text(policy['overlap']),
    every: typeof everyMs === 'number' ? shortDuration(everyMs) : '10m',
    at: text(at),
  }
}

/** Returns the schedule of a draft, or its problem. Keeps options of the previous schedule that the form does not show. Pure. */
export function scheduleOf(
  draft: Draft,
  before: unknown,
  windows: unknown,
): { readonly schedule: Readonly<Record<string, unknown>> | null } | { readonly problem: string } {
  const kept = isRecord(before) && before['kind'] === draft.kind ? before : {}
  switch (draft.kind) {
    case 'none':
      return { schedule: null }
    case 'at':
      return draft.at === ''
        ? { problem: 'Say when, such as 2026-01-31T06:00:00Z.' }
        : { schedule: { kind: 'at', at: draft.at } }
    case 'every': {
      const everyMs = milliseconds(draft.every)
      if (everyMs === undefined) return { problem: 'Write a duration with a unit, such as 30s, 10m or 1h.' }
      const start = isRecord(windows) ? windows['start'] : undefined
      return { schedule: { ...kept, kind: 'every', everyMs, anchor: kept['anchor'] ?? start ?? EPOCH } }
    }
    case 'cron': {
      const lines = linesOf(draft.cron)
      if (lines.length === 0) return { problem: 'Write a cron expression, such as 0 6 * * 1-5.' }
      const { dst: _dst, ...rest } = kept
      const dst = {
        ...(draft.gap !== '' && { gap: draft.gap }),
        ...(draft.overlap !== '' && { overlap: draft.overlap }),
      }
      const policy = Object.keys(dst).length > 0 ? { dst } : {}
      const cron = lines.length === 1 ? lines[0] : lines
      return { schedule: { ...rest, kind: 'cron', cron, timezone: draft.timezone, ...policy } }
    }
  }
}

/** The properties that the options of `piko schedules set` can express. */
const WITH_OPTION = new Set(['kind', 'cron', 'timezone', 'dst', 'everyMs', 'anchor', 'at', 'start', 'end'])

/**
 * Returns a schedule as options of `piko schedules set`: as `--schedule` with JSON if the other options can't express it. Pure.
 *
 * @param windows the option `windows` of the job, to whose start the command aligns a fixed interval
 */
export function scheduleFlags(schedule: Readonly<Record<string, unknown>> | null, windows: unknown): string[] {
  if (!schedule) return ['--none']
  const { kind, cron, timezone, dst, everyMs, anchor, at, start, end } = schedule
  const usual = (isRecord(windows) ? windows['start'] : undefined) ?? EPOCH
  const isUsual = kind !== 'every' || (anchor === usual && typeof everyMs === 'number')
  if (!isUsual || Object.keys(schedule).some((name) => !WITH_OPTION.has(name)))
    return ['--schedule', JSON.stringify(schedule)]
  const policy = isRecord(dst) ? dst : {}
  const given: readonly (readonly [string, unknown])[] = [
    ...(Array.isArray(cron) ? cron : [cron]).map((one: unknown) => ['--cron', one] as const),
    ...([['--every', typeof everyMs === 'number' ? shortDuration(everyMs) : undefined]] as const),
    ...([['--at', at]] as const),
    ...([['--timezone', timezone]] as const),
    ...([['--dst-gap', policy['gap']]] as const),
    ...([['--dst-overlap', policy['overlap']]] as const),
    ...([['--start', start]] as const),
    ...([['--end', end]] as const),
  ]
  return given.flatMap(([flag, value]) => (typeof value === 'string' ? [flag, value] : []))
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function milliseconds(text: string): number | undefined {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)]
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text.trim()) return undefined
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0)
  return Number.isInteger(ms) && ms > 0 ? ms : undefined
}

function shortDuration(ms: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([name, one]) => name !== 'w' && ms % one === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}
