import { zoneChoice } from './settings.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365.25 * DAY

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string | undefined, withSeconds: boolean): Intl.DateTimeFormat {
  const key = `${timeZone} ${withSeconds}`
  const known = formats.get(key)
  if (known) return known
  const made = new Intl.DateTimeFormat('sv-SE', {
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
    ...(withSeconds && { second: '2-digit' }),
    ...(timeZone !== undefined && { timeZone }),
  })
  formats.set(key, made)
  return made
}

/** Returns the zone in which to show an instant of a job. Undefined: the browser's zone. */
export function chosenZone(jobZone: string | undefined): string | undefined {
  if (zoneChoice.value === 'browser') return undefined
  return zoneChoice.value === 'job' ? (jobZone ?? 'UTC') : 'UTC'
}

/**
 * Formats an instant in the chosen zone, such as `2026-01-31 23:59:59`.
 *
 * @param jobZone the zone of the job to which the instant belongs
 */
export function instantText(at: string | Date, jobZone: string | undefined, withSeconds = true): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return String(at)
  return formatOf(safeZone(chosenZone(jobZone)), withSeconds).format(date)
}

/** Formats an instant in a given zone, such as `2026-01-31 23:59`. */
export function instantIn(at: Date, zone: string): string {
  return formatOf(safeZone(zone), false).format(at)
}

/** Returns the zone, or UTC if this browser does not know it. */
function safeZone(zone: string | undefined): string | undefined {
  try {
    formatOf(zone, false)
    return zone
  } catch {
    return 'UTC'
  }
}

/** Formats a duration, such as `350 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min` or `2 d 4 h`. From two years on, it shows whole years. */
export function durationText(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`
  if (ms < HOUR) return two(ms, MINUTE, 'min', SECOND, 's')
  if (ms < DAY) return two(ms, HOUR, 'h', MINUTE, 'min')
  if (ms < 2 * YEAR) return two(ms, DAY, 'd', HOUR, 'h')
  return `${Math.floor(ms / YEAR)} years`
}

function two(ms: number, unit: number, name: string, smaller: number, smallerName: string): string {
  const rest = Math.floor((ms % unit) / smaller)
  return `${Math.floor(ms / unit)} ${name}${rest > 0 ? ` ${rest} ${smallerName}` : ''}`
}

/** Formats how far an instant is from another one, such as `in 5 min` or `2 h ago`. */
export function distanceText(at: string | Date, from: Date): string {
  const ms = new Date(at).getTime() - from.getTime()
  const size = Math.abs(ms)
  const text = size < MINUTE ? `${Math.round(size / SECOND)} s` : (durationText(size).match(/^\d+ \w+/)?.[0] ?? '')
  return ms >= 0 ? `in ${text}` : `${text} ago`
}

const numbers = new Intl.NumberFormat('en-US')

export function numberText(value: number): string {
  return numbers.format(value)
}

/** Formats a JSON value as several lines of text. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? ''
}
