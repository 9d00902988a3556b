import { effect, type Signal, signal } from '@preact/signals'

export const ZONES = ['utc', 'job', 'browser'] as const
export const THEMES = ['auto', 'light', 'dark'] as const

/** The zone in which instants are shown. */
export const zoneChoice = kept('piko.zone', ZONES)

/** Changes the zone in which instants are shown. */
export function chooseZone(zone: (typeof ZONES)[number]): void {
  zoneChoice.value = zone
}

export const theme = kept('piko.theme', THEMES)

effect(() => {
  document.documentElement.dataset['theme'] = theme.value
})

/** Creates a choice that the browser stores. If the browser forbids storage, the choice lasts until the page is closed. */
function kept<const T extends string>(name: string, choices: readonly [T, ...T[]]): Signal<T> {
  const chosen = choices.find((choice) => choice === safely(() => localStorage.getItem(name), null))
  const value = signal<T>(chosen ?? choices[0])
  effect(() => safely(() => localStorage.setItem(name, value.value), undefined))
  return value
}

function safely<T>(use: () => T, otherwise: T): T {
  try {
    return use()
  } catch {
    return otherwise
  }
}
