import { events } from './sections/events.ts'
import { history } from './sections/history.ts'
import { http } from './sections/http.ts'
import { items } from './sections/items.ts'
import { link } from './sections/link.ts'
import { mysql } from './sections/mysql.ts'
import { notify } from './sections/notify.ts'
import { offload } from './sections/offload.ts'
import { piko } from './sections/piko.ts'
import { sinks } from './sections/sinks.ts'
import { sqlite } from './sections/sqlite.ts'
import type { Section, Setting } from './setting.ts'

/** Every section of `settings.toml`, in the order of the documentation. */
export const SECTIONS = { piko, mysql, sqlite, history, sinks, items, offload, http, events, link, notify }

/** Every setting by its full key (`mysql.dsn`), in the order of the documentation. */
export const SETTINGS: ReadonlyMap<string, Setting> = new Map(
  Object.entries<Section>(SECTIONS).flatMap(([section, settings]) =>
    Object.values(settings).map((setting) => [`${section}.${setting.key}`, setting] as const),
  ),
)

/** Returns the environment variable for a key: `piko.log_level` → `PIKO_LOG_LEVEL`, `mysql.dsn` → `PIKO_MYSQL__DSN`. */
export function envName(key: string): string {
  return `PIKO_${key
    .replace(/^piko\./, '')
    .replace('.', '__')
    .toUpperCase()}`
}
