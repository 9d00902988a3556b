/** Zones whose clocks change in ways that have broken schedulers, and one that has no changes. */
export const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe', // by half an hour
  'America/Sao_Paulo', // at midnight, until 2019
  'Asia/Beirut', // at midnight
  'Africa/Casablanca', // twice around each Ramadan
  'Africa/Cairo', // at midnight, abolished and reintroduced
  'Pacific/Apia', // skipped a day in 2011
  'Pacific/Chatham', // at 02:45
  'Antarctica/Troll', // by two hours
  'America/St_Johns', // at 00:01, until 2011
  'Asia/Kathmandu',
  'Asia/Pyongyang', // changed its standard time by half an hour
] as const

export type Zone = (typeof ZONES)[number]

// No zone changes twice within a week.
const WEEK_MS = 7 * 86_400_000
const FROM_MS = Date.UTC(2009, 0, 1)
const TO_MS = Date.UTC(2028, 0, 1)

/** The instants at which the clocks of a zone change, to the second, between 2009 and 2028. The new year if they never do. */
export function clockChanges(zone: Zone): readonly number[] {
  const changes: number[] = []
  for (let week = FROM_MS; week < TO_MS; week += WEEK_MS) {
    if (offsetMs(zone, week) !== offsetMs(zone, week + WEEK_MS)) changes.push(changeBetween(zone, week, week + WEEK_MS))
  }
  return changes.length > 0 ? changes : [Date.UTC(2026, 0, 1)]
}

function changeBetween(zone: Zone, before: number, after: number): number {
  if (after - before <= 1_000) return after
  const middle = before + Math.floor((after - before) / 2_000) * 1_000
  return offsetMs(zone, middle) === offsetMs(zone, before)
    ? changeBetween(zone, middle, after)
    : changeBetween(zone, before, middle)
}

/** How many milliseconds the zone's clocks are ahead of UTC. */
function offsetMs(zone: Zone, instant: number): number {
  return wallClock(zone, instant).getTime() - instant
}

const formats = new Map<Zone, Intl.DateTimeFormat>()

/** The time on the zone's clocks, as if it were UTC. `instant` must be a whole second. */
export function wallClock(zone: Zone, instant: number): Date {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    formats.set(zone, format)
  }
  return new Date(`${format.format(instant).replace(' ', 'T')}Z`)
}
