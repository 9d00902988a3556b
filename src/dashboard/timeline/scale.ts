const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The lengths of time that the page offers, shortest first. */
export const SPANS: readonly (readonly [ms: number, name: string])[] = [
  [MINUTE, '1 minute'],
  [5 * MINUTE, '5 minutes'],
  [15 * MINUTE, '15 minutes'],
  [HOUR, '1 hour'],
  [6 * HOUR, '6 hours'],
  [DAY, '1 day'],
  [7 * DAY, '7 days'],
  [30 * DAY, '30 days'],
]

const STEPS = [
  ...[SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR],
  ...[DAY, 2 * DAY, 7 * DAY],
]
const LEAST_PIXELS = 90

/** Returns the length of time that is `steps` entries after the given one in `SPANS`, or before it if `steps` is negative. */
export function nextSpan(spanMs: number, steps: number): number {
  const index = SPANS.findIndex(([ms]) => ms >= spanMs)
  const next = Math.max(0, Math.min(SPANS.length - 1, (index < 0 ? SPANS.length - 1 : index) + steps))
  return SPANS[next]?.[0] ?? spanMs
}

/** Returns the instants that get a line, at whole seconds, minutes, hours or days in UTC. */
export function marksOf(
  from: number,
  to: number,
  width: number,
): { readonly stepMs: number; readonly marks: number[] } {
  const fits = (step: number): boolean => (step / (to - from)) * width >= LEAST_PIXELS
  const stepMs = STEPS.find(fits) ?? 7 * DAY
  const marks: number[] = []
  for (let mark = Math.ceil(from / stepMs) * stepMs; mark <= to; mark += stepMs) marks.push(mark)
  return { stepMs, marks }
}

/** Returns the part of an instant's text to show at a line: the part in which the lines differ. */
export function markText(text: string, stepMs: number): string {
  if (stepMs >= DAY) return text.slice(0, 10)
  return stepMs >= MINUTE ? text.slice(5, 16) : text.slice(11, 19)
}
