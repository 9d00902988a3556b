import type { Timeline, Window } from '../time/window.ts'
import { dateOfWindow, momentText } from '../time/local-dates.ts'

/** The windows next to an instant: the last one that starts before it, and the first one that starts after it. */
export interface NearWindows {
  readonly before: Window | undefined
  readonly after: Window | undefined
}

/**
 * Finds the windows next to an instant. Pure.
 *
 * @param lastEnd only windows that end at this instant or earlier can be requested
 */
export function windowsNear(timeline: Timeline, instant: Date, lastEnd: Date): NearWindows {
  const around = timeline.containing(instant)
  const isBefore = around !== undefined && around.start < instant && around.end <= lastEnd
  const earliest = instant < lastEnd ? instant : lastEnd
  const before = isBefore ? around : timeline.latestBefore(earliest)
  const after = timeline.firstFrom(new Date(instant.getTime() + 1))
  return { before, after: after && after.end <= lastEnd ? after : undefined }
}

/** Formats a window for people: `2025-06-15 (Europe/Berlin)`, or its bounds in UTC. */
export function windowName(window: Window, timezone: string): string {
  const date = dateOfWindow(window, timezone)
  return date === undefined ? `${utc(window.start)} to ${utc(window.end)}` : `${date} (${timezone})`
}

/** Names the nearest windows and a range that contains them; undefined if there are no windows. */
export function nearestRangeText({ before, after }: NearWindows, timezone: string): string | undefined {
  const found = [before, after].filter((window) => window !== undefined)
  const [first] = found
  const last = found.at(-1)
  if (!first || !last) return undefined
  const names = found.map((window) => windowName(window, timezone))
  const range = `from ${momentText(first.start, timezone)} to ${momentText(last.end, timezone)}`
  return `the nearest ${found.length === 1 ? 'is' : 'are'} ${names.join(' and ')}; type for example ${range}`
}

/** Names the nearest windows, and how to write them in a request; undefined if there are no windows. */
export function nearestText({ before, after }: NearWindows, timezone: string): string | undefined {
  const found = [before && ([before, 'before'] as const), after && ([after, 'after'] as const)].filter((one) => !!one)
  if (found.length === 0) return undefined
  const names = found.map(([window, side]) => `${windowName(window, timezone)} ${side} it`)
  const texts = found.map(([window]) => momentText(window.start, timezone))
  return `the nearest ${found.length === 1 ? 'is' : 'are'} ${names.join(' and ')}; type ${texts.join(' or ')}`
}

function utc(instant: Date): string {
  return instant.toISOString().replace('.000Z', 'Z')
}
