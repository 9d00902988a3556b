import { type Piko } from '../engine/app.ts'
import { cliSettings, readOnly } from './cli-settings.ts'
import { type GlobalOptions } from './global-options.ts'

/** An app that executes nothing and plans nothing, for the time of one command. */
export async function withApp(
  globals: GlobalOptions,
  work: (app: Piko, json: boolean) => Promise<void>,
): Promise<void> {
  const settings = readOnly(cliSettings(globals))
  const { Piko } = await import('../engine/app.ts')
  const app = new Piko({ jobs: [], execute: false, settings })
  try {
    await app.start()
    await work(app, globals.json)
  } finally {
    await app.stop()
  }
}
