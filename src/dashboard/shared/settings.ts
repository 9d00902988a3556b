import { effect, type Signal, signal } from '@preact/signals'
import { query, setQuery } from './router.ts'

export const ZONES = ['utc', 'job', 'browser'] as const
export const THEMES = ['auto', 'light', 'dark'] as const

/** The zone in which instants are shown. A zone in the address takes precedence over the one that the browser has stored. */
export const zoneChoice = signal(inAddress() ?? stored('piko.zone', ZONES) ?? 'utc')

/** Changes the zone in which instants are shown. */
export function chooseZone(zone: (typeof ZONES)[number]): void {
  zoneChoice.value = zone
  store('piko.zone', zone)
}

export const theme = kept('piko.theme', THEMES)

effect(() => {
  document.documentElement.dataset['theme'] = theme.value
})

// The address contains the chosen zone unless it is UTC, so that a colleague who opens it sees the same times. If the address contains no
// zone, the colleague sees the zone that their own browser has stored, by default UTC.
effect(() => {
  const zone = zoneChoice.value === 'utc' ? undefined : zoneChoice.value
  if ((query.value.get('zone') ?? undefined) !== zone) setQuery({ zone })
})

function inAddress(): (typeof ZONES)[number] | undefined {
  return ZONES.find((zone) => zone === query.peek().get('zone'))
}

/** Creates a choice that the browser stores. If the browser forbids storage, the choice lasts until the page is closed. */
function kept<const T extends string>(name: string, choices: readonly [T, ...T[]]): Signal<T> {
  const value = signal<T>(stored(name, choices) ?? choices[0])
  effect(() => store(name, value.value))
  return value
}

function stored<const T extends string>(name: string, choices: readonly T[]): T | undefined {
  return choices.find((choice) => choice === safely(() => localStorage.getItem(name), null))
}

function store(name: string, value: string): void {
  safely(() => localStorage.setItem(name, value), undefined)
}

function safely<T>(use: () => T, otherwise: T): T {
  try {
    return use()
  } catch {
    return otherwise
  }
}
