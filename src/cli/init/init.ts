import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { systemClock } from '../../clock.ts'
import { messageOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { say } from '../../say.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { type Ask, type ChoiceFlags, type Choices, choicesOf, problemOf } from './choices.ts'
import { isMachineNodeTooOld, OWN_NODE } from './machine-node.ts'
import { npm, packPiko } from './package-of-piko.ts'
import { type Manifest, manifestOf, projectFiles } from './project-files.ts'

interface InitOptions extends ChoiceFlags {
  readonly install: boolean
  readonly package?: string
}

/** A folder counts as empty even if it contains these files, because npm and git create them. */
const HARMLESS: ReadonlySet<string> = new Set(['.git', 'node_modules', 'package.json', 'package-lock.json'])
const DAYS_SHOWN = 3

export function addInit(program: Command): void {
  program
    .command('init')
    .summary('create a project with jobs, a test, settings and a Dockerfile')
    .description(
      'Creates a project that runs: jobs, a test, settings, a Dockerfile, and a copy of this package of Piko in vendor/. ' +
        'Asks two questions on a terminal, unless options answer them. Refuses a folder that is not empty; ' +
        'package.json, node_modules and .git may exist.',
    )
    .argument('[folder]', 'where to create it', '.')
    .option('--ts', 'TypeScript')
    .option('--js', 'JavaScript, with functions')
    .option('--decorators', 'jobs as methods of classes, with @job')
    .option('--functions', 'jobs as functions, with defineJob')
    .option('--sqlite', 'keep the state in an SQLite file')
    .option('--dsn <dsn>', 'keep the state in MySQL or MariaDB: mysql://user:password@host/database')
    .option(
      '--package <spec>',
      'version or source of piko for package.json, instead of a copy in vendor/; such as file:../piko-0.1.0.tgz',
    )
    .option('--no-install', 'do not run npm install')
    .addHelpText(
      'after',
      examples([
        'piko init orders',
        'piko init --ts --functions --sqlite',
        'piko init orders --js --dsn mysql://piko:secret@db/piko --no-install',
      ]),
    )
    .action((folder: string, options: InitOptions, command: Command) => init(folder, options, globalOptions(command)))
}

async function init(given: string, options: InitOptions, { json }: { readonly json: boolean }): Promise<void> {
  const problem = problemOf(options)
  if (problem !== undefined) throw new PikoError('USAGE', problem)
  const folder = resolve(given)
  const before = existingManifest(folder)
  const choices = await chosen(options, json)
  mkdirSync(folder, { recursive: true })
  const piko = options.package ?? registeredSpec(before) ?? (await packPiko(folder))
  const node = (await isMachineNodeTooOld()) ? OWN_NODE : undefined
  const files = projectFiles(choices, new Date(systemClock.now() - DAYS_SHOWN * 86_400_000))
  for (const [name, text] of files) write(join(folder, name), text)
  write(join(folder, 'package.json'), `${JSON.stringify(merged(before, manifestOf(choices, piko, node)), null, 2)}\n`)
  if (options.install) await install(folder)
  const written = ['package.json', ...files.keys()]
  const place = relative(process.cwd(), folder)
  const next = [...(place === '' ? [] : [`cd ${place}`]), ...(options.install ? [] : ['npm install']), 'npm run dev']
  printResult(json, { folder, files: written, next }, () =>
    [`created ${written.length} files in ${visibleLine(folder)}; now:`, ...next.map((line) => `  ${line}`)].join('\n'),
  )
}

type Existing = Readonly<Record<string, unknown>>

/**
 * Reads an existing `package.json`.
 *
 * @throws PikoError `USAGE` if the folder contains anything that the project could overwrite or conflict with, or the file can't be read
 */
function existingManifest(folder: string): Existing {
  const entries = existsSync(folder) ? readdirSync(folder) : []
  const others = entries.filter((name) => !HARMLESS.has(name)).sort()
  if (others.length > 0) {
    const named = `${others.slice(0, 5).join(', ')}${others.length > 5 ? ` and ${others.length - 5} more` : ''}`
    throw new PikoError(
      'USAGE',
      `${folder} is not empty: it has ${named}. Choose another folder, such as piko init my-jobs; ` +
        'to add jobs to a project that exists, write jobs/hello.ts as docs/cli.md shows',
      { details: { folder, files: others } },
    )
  }
  if (!entries.includes('package.json')) return {}
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Existing
  } catch (cause) {
    throw new PikoError('USAGE', `${join(folder, 'package.json')} can't be read: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Returns the version of Piko in an existing `package.json`. Returns undefined for a path, because a path outside the project would be
 * missing in a container.
 */
function registeredSpec({ dependencies }: Existing): string | undefined {
  const spec = (dependencies as Readonly<Record<string, string>> | undefined)?.['piko']
  return spec === undefined || /^(?:file:|link:|\.|\/)/.test(spec) ? undefined : spec
}

/**
 * Merges the existing `package.json` with the new one. Replaces only the `type`, the version of Piko, and the script `test` that `npm init`
 * writes.
 */
function merged(before: Existing, manifest: Manifest): object {
  const { scripts, dependencies, devDependencies } = before as Partial<Manifest>
  const { test, ...otherScripts } = scripts ?? {}
  const isOwnTest = test !== undefined && !test.includes('no test specified')
  return {
    ...manifest,
    ...before,
    type: manifest.type,
    scripts: { ...manifest.scripts, ...otherScripts, ...(isOwnTest && { test }) },
    dependencies: { ...dependencies, ...manifest.dependencies },
    devDependencies: { ...manifest.devDependencies, ...devDependencies },
  }
}

async function chosen(flags: ChoiceFlags, json: boolean): Promise<Choices> {
  if (!process.stdin.isTTY || json) return choicesOf(flags, undefined)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ask: Ask = (question) => terminal.question(question)
  try {
    return await choicesOf(flags, ask)
  } finally {
    terminal.close()
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

async function install(folder: string): Promise<void> {
  say('npm install …')
  try {
    await npm(['install', '--no-audit', '--no-fund'], folder)
  } catch (cause) {
    throw new PikoError(
      'USAGE',
      `the project is in ${folder}, but npm install failed; run it there again: ${messageOf(cause)}`,
      { cause, details: { folder } },
    )
  }
}
