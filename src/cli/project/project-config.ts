import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { importedFile } from '../../app/discovery/discover.ts'
import type { PikoConfig } from '../../app/piko-config.ts'
import { describe, PikoError } from '../../errors.ts'

const ENDINGS = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'] as const

let loading: Promise<PikoConfig> | undefined

/**
 * Loads the default export of `piko.config.ts` in the working directory, or of the same name with another extension of TypeScript or
 * JavaScript. Returns an empty object without such a file. The file is loaded once.
 *
 * @throws PikoError `JOB_LOAD_FAILED` if the file can't be imported, `USAGE` if it exports something else or has settings, or if there are
 * several such files
 */
export function projectConfig(): Promise<PikoConfig> {
  return (loading ??= load(process.cwd()))
}

async function load(cwd: string): Promise<PikoConfig> {
  const names = ENDINGS.map((ending) => `piko.config.${ending}`).filter((name) => existsSync(join(cwd, name)))
  const [name] = names
  if (name === undefined) return {}
  if (names.length > 1) throw wrong(names.join(' and '), 'both exist; keep one of them')
  const module = (await importedFile(join(cwd, name), cwd)) as { readonly default?: unknown }
  const exported = typeof module.default === 'function' ? await called(name, module.default) : module.default
  if (typeof exported !== 'object' || exported === null || Array.isArray(exported))
    throw wrong(name, `its default export is ${describe(exported)}; expected ${EXAMPLE}`)
  if ('settings' in exported)
    throw wrong(name, 'it has settings; put them in settings.toml or the environment, where every command sees them')
  return exported
}

const EXAMPLE = 'options of the app, such as export default defineConfig({ services: [Prices] })'

async function called(name: string, create: unknown): Promise<unknown> {
  try {
    return await (create as () => unknown)()
  } catch (cause) {
    throw new PikoError('JOB_LOAD_FAILED', `the function that ${name} exports threw ${describe(cause)}`, {
      cause,
      details: { file: name },
    })
  }
}

function wrong(name: string, problem: string): PikoError {
  return new PikoError('USAGE', `${name}: ${problem}`, { details: { file: name } })
}
