import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { messageOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'

/** The folder of the Piko package that this process runs from. */
const OWN = fileURLToPath(new URL('../../../', import.meta.url))
/** The folder of a project for packages that come from no registry. */
const VENDOR = 'vendor'

/**
 * Packs the running version of Piko into the project. So the project can be installed here and in a container.
 *
 * @returns the specifier for `package.json`
 * @throws PikoError `USAGE` if the package was not built, or npm can't pack it
 */
export async function packPiko(folder: string): Promise<string> {
  if (!existsSync(join(OWN, 'dist/bin.js'))) throw unpacked('its dist/ is missing: run "npm run build" there first')
  const target = join(folder, VENDOR)
  mkdirSync(target, { recursive: true })
  try {
    const args = ['pack', OWN, '--ignore-scripts', '--json', '--pack-destination', target]
    const { stdout } = await npm(args, folder)
    const [packed] = JSON.parse(stdout) as [{ readonly filename: string }]
    return `file:${VENDOR}/${packed.filename}`
  } catch (cause) {
    throw unpacked(messageOf(cause), cause)
  }
}

/** Runs npm: the same npm that started this process, or the one in `PATH`. */
export function npm(args: readonly string[], cwd: string): Promise<{ readonly stdout: string }> {
  const path = process.env['npm_execpath']
  const [command, first] = path?.endsWith('.js') ? [process.execPath, [path]] : ['npm', []]
  return promisify(execFile)(command, [...first, ...args], { cwd, maxBuffer: 2 ** 26 })
}

function unpacked(problem: string, cause?: unknown): PikoError {
  return new PikoError(
    'USAGE',
    `the package of Piko in ${OWN} can't be packed: ${problem}. To use another package, name it with --package, such as --package file:../piko-0.1.0.tgz`,
    { cause, details: { folder: OWN } },
  )
}
