import { counted } from '../../counted.ts'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve, sep } from 'node:path'
import type { Command } from 'commander'
import { PikoError, toError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { visible } from '../../visible.ts'
import { cliJobModules, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { typedJobs, typesText } from './types-text.ts'

interface TypesOptions {
  readonly jobs?: string[]
  readonly out?: string
}

export function addJobsTypes(jobs: Command): void {
  jobs
    .command('types')
    .description(
      'Writes a TypeScript declaration of the jobs of the project. With it, the editor completes ids of jobs, and a misspelt id is ' +
        'a compile error.',
    )
    .option('--out <file>', 'file to write, such as piko-jobs.d.ts; default: standard output')
    .addOption(jobsOption())
    .addHelpText('after', examples(['piko jobs types', 'piko jobs types --out piko-jobs.d.ts']))
    .action((options: TypesOptions, command: Command) => types(options, globalOptions(command)))
}

async function types({ jobs: globs, out }: TypesOptions, globals: GlobalOptions): Promise<void> {
  const { registry, modules } = await cliJobModules(cliSettings(globals), globs)
  const proofs = [...registry].filter(({ policy }) => policy.proof !== undefined).map(({ id }) => `${id}:proof`)
  const found = typedJobs([...registry.ids, ...proofs], modules)
  const folder = out === undefined ? '' : relative(process.cwd(), dirname(resolve(out))).replaceAll(sep, '/')
  const text = typesText(found, folder)
  if (out !== undefined) write(out, text)
  const data = { file: out ?? null, jobs: found.map(({ id, place }) => ({ id, place: place ?? null })), text }
  printResult(globals.json, data, () =>
    out === undefined ? text.trimEnd() : `${counted(found.length, 'job')} in ${visible(out)}`,
  )
}

/**
 * Writes the declaration file.
 *
 * @throws PikoError `USAGE` if its name does not end with `.d.ts`, or it can't be written
 */
function write(file: string, text: string): void {
  if (!file.endsWith('.d.ts'))
    throw new PikoError(
      'USAGE',
      `--out is ${JSON.stringify(file)}; expected a declaration file, such as piko-jobs.d.ts`,
    )
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  } catch (thrown) {
    const cause = toError(thrown)
    throw new PikoError('USAGE', `--out ${JSON.stringify(file)} can't be written: ${messageOf(cause)}`, { cause })
  }
}
