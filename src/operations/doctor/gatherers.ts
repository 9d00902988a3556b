import { existsSync } from 'node:fs'
import { type Clock, systemClock } from '../../clock.ts'
import { isPikoError, PikoError, toError } from '../../errors.ts'
import { type LoadedSettings, loadSettings, type LoadSettingsOptions } from '../../settings/load.ts'
import type { SettingsProblem } from '../../settings/problem.ts'
import type { Database } from '../../store/connection/database.ts'
import type { DoctorStore } from '../../store/doctor/doctor-store.ts'
import { storeOn } from '../../store/store.ts'
import { openSettingsDatabase } from '../../store/open-store.ts'
import { diagnose, type DoctorReport, type Gatherers } from './diagnose.ts'
import type { SettingsFacts } from './facts.ts'
import { unusablePaths } from './path-facts.ts'

/**
 * Examines an installation whose database is open.
 *
 * @param clock the clock of this host
 */
export function diagnosed(
  loaded: LoadedSettings,
  store: DoctorStore,
  clock: Pick<Clock, 'now'>,
): Promise<DoctorReport> {
  return diagnose({
    ...ofSettings(loaded),
    ping: () => store.ping(),
    server: () => store.server(),
    clock: () => store.clock(() => clock.now()),
    rights: () => store.rights(),
    schema: () => store.schema(),
    sizes: () => store.sizes(),
    runs: () => store.runs(),
    fleet: () => store.fleet(),
    plans: () => store.plans(),
    broken: () => store.broken(),
  })
}

function ofSettings(loaded: LoadedSettings): Gatherers {
  const { settings, file, origins, shown } = loaded
  const facts = (): SettingsFacts => ({
    ...{ file, settings },
    values: [...origins].map(([key, origin]) => ({ key, value: shown.get(key) ?? '', origin })),
  })
  return { problems: () => [], settings: facts, paths: () => unusablePaths(loaded) }
}

/**
 * Examines an installation without an app: reads the settings and opens the database. Both may fail. Changes nothing, and creates no file.
 *
 * @param clock the clock of this host
 */
export async function examine(
  options: LoadSettingsOptions = {},
  clock: Pick<Clock, 'now'> = systemClock,
): Promise<DoctorReport> {
  const loaded = loadedOf(options)
  if (!('settings' in loaded)) return diagnose({ problems: () => loaded })
  const { settings } = loaded
  const known = ofSettings(loaded)
  let database: Database
  try {
    assertFile(settings)
    database = await openSettingsDatabase(settings)
  } catch (error) {
    return diagnose({ ...known, ping: () => Promise.reject(toError(error)) })
  }
  try {
    return await diagnosed(loaded, storeOn(database).doctor, clock)
  } finally {
    await database.close()
  }
}

/** Checks that the SQLite file exists. This check comes first, because opening a missing file would create it. */
function assertFile({ mysql, sqlite: { path } }: LoadedSettings['settings']): void {
  if (mysql.dsn !== '' || path === ':memory:' || existsSync(path)) return
  throw new PikoError('DATABASE_UNREACHABLE', `the file ${path} does not exist; create it: piko migrate up`, {
    details: { location: path },
  })
}

function loadedOf(options: LoadSettingsOptions): LoadedSettings | readonly SettingsProblem[] {
  try {
    return loadSettings(options)
  } catch (error) {
    const problems = isPikoError(error, 'SETTINGS_INVALID') ? error.details['problems'] : undefined
    if (Array.isArray(problems)) return problems as SettingsProblem[]
    throw error
  }
}
