import type { Piko } from '../app/piko.ts'
import type { JobSource } from '../job/job-source.ts'
import type { SettingsOverrides } from '../settings/settings.ts'
import { cliSettings, readOnly } from './cli-settings.ts'
import type { GlobalOptions } from './global-options.ts'
import { remoteTarget } from './remote/target.ts'
import { asCommand } from './process/command-actor.ts'

/**
 * Runs a command with an app. The app executes and plans nothing, and never migrates an existing database. With `--url`, the command runs
 * on that node instead.
 */
export function withApp<T>(globals: GlobalOptions, work: (app: Piko, json: boolean) => Promise<T>): Promise<T> {
  const settings = remoteTarget.isSet ? {} : readOnly(cliSettings(globals))
  return withAppOn(settings, (app) => work(app, globals.json))
}

/** Like `withApp`, but the command passes its own overrides of the settings, and the project's jobs. */
export async function withAppOn<T>(
  settings: SettingsOverrides,
  work: (app: Piko) => Promise<T>,
  jobs: JobSource = [],
): Promise<T> {
  const remote = await remoteTarget.get()
  if (remote) return work(remote.app)
  const { Piko } = await import('../app/piko.ts')
  const app = new Piko({ jobs, execute: false, settings })
  try {
    await app.start()
    return await asCommand(() => work(app))
  } finally {
    await app.stop()
  }
}
