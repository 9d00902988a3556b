import type { Piko } from '../../app/piko.ts'
import { zoneOfJob } from '../../engine/planning/stored-job.ts'
import { isPikoError } from '../../errors.ts'
import { dateOfWindow, localText, momentText } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import { instantText } from './print-result.ts'
import type { Column } from './table.ts'

/** Returns the time zone in which a job's windows are shown; undefined for a job that the database does not know. */
export async function jobZone(app: Piko, jobId: string): Promise<string | undefined> {
  try {
    return zoneOfJob(await app.jobs.show(jobId))
  } catch (thrown) {
    if (isPikoError(thrown, 'JOB_UNKNOWN')) return undefined
    throw thrown
  }
}

/** Returns columns that show a window in local time, in addition to the UTC columns. Returns none if the zone is UTC. */
export function localColumns<Row extends Window>(zone: string): Column<Row>[] {
  return zone === 'UTC' ? [] : [{ title: 'local', cell: (row) => localRange(row, zone) }]
}

/**
 * Returns a range in local time: `2025-06-15 (Europe/Berlin)` for a day of the zone, `2025-01-01 to 2025-02-01 (Europe/Berlin)` for days,
 * otherwise times.
 */
export function localRange(range: Window, zone: string): string {
  return `${dateOfWindow(range, zone) ?? `${localMoment(range.start, zone)} to ${localMoment(range.end, zone)}`} (${zone})`
}

/** Returns a range in UTC, followed by local time unless the zone is UTC. */
export function rangeText(range: Window, zone: string): string {
  const utc = `${instantText(range.start)} to ${instantText(range.end)}`
  return zone === 'UTC' ? utc : `${utc}, ${localRange(range, zone)}`
}

/** Returns an instant in UTC, followed by local time unless the zone is UTC. */
export function besideUtc(instant: Date | undefined, zone: string): string {
  return instant && zone !== 'UTC'
    ? `${instantText(instant)} (${localMoment(instant, zone)}, ${zone})`
    : instantText(instant)
}

/** Returns the date of a window for JSON; null unless the window is exactly one day of the zone. */
export function dateData(window: Window, zone: string): { readonly date: string | null } {
  return { date: dateOfWindow(window, zone) ?? null }
}

function localMoment(instant: Date, zone: string): string {
  const text = momentText(instant, zone)
  return text.includes('T') ? localText(instant, zone) : text
}
