import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PATIENCE_MS } from '../support/patience.ts'

/** Ways to start a user's process, each in its own child process that inherits nothing from the tests. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = `
import { offload, closeOffload, configureOffload } from 'OFFLOAD'
configureOffload({ size: 1 })
const numbers = offload<any>(new URL('./numbers.ts', import.meta.url))
try {
  const { isMainThread, conditions } = await numbers.whereabouts()
  console.log(JSON.stringify({ label: await numbers.label(3), isMainThread, conditions, loaded: await numbers.loaded() }))
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }))
}
if (process.env['CLOSE'] !== 'no') await closeOffload()
`
const NUMBERS = `
import { isMainThread } from 'node:worker_threads'
import { Unit } from './unit.ts'
export const label = (value: number) => value + ' ' + Unit.Metre
export const loaded = () => import.meta.url.split('/').at(-1)
export const whereabouts = () => ({ isMainThread, conditions: process.execArgv.filter((flag) => flag.startsWith('--conditions')) })
`
const UNIT = `export enum Unit { Metre = 'm' }`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'piko-launch-'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  write('package.json', '{ "type": "module" }')
  compileInto('dist', [
    'clock.ts',
    'errors.ts',
    'call-options.ts',
    'errors-read.ts',
    'safe-error.ts',
    'options.ts',
    'thread-module.ts',
    'loop-turn.ts',
    'time/after.ts',
    'signals/on-abort.ts',
    'time/duration.ts',
    ...['offload', 'tracing'].flatMap((room) =>
      readdirSync(join(root, 'src', room), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `${room}/${name}`),
    ),
  ])
  write('dist/entry.js', "export * from './offload/offload.js'\nexport * from './offload/pools.js'\n")
  const source = ['offload', 'pools'].map((name) => `export * from '${join(root, 'src/offload', name)}.ts'\n`)
  write('source-entry.ts', source.join(''))
  project('source', '../source-entry.ts', '.ts')
  project('mixed', '../dist/entry.js', '.ts')
  project('built', '../dist/entry.js', '.js')
  // A JavaScript main with TypeScript modules, like a JavaScript project with one typed parser.
  write('mixed/main.js', transpile(MAIN).replace('OFFLOAD', '../dist/entry.js').replace('numbers.js', 'numbers.ts'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), text)
}

function transpile(text: string): string {
  const { ES2023: target } = ts.ScriptTarget
  const compilerOptions = { target, module: ts.ModuleKind.ESNext, rewriteRelativeImportExtensions: true }
  return ts.transpileModule(text, { compilerOptions }).outputText
}

function compileInto(target: string, files: readonly string[]): void {
  for (const file of files) {
    write(`${target}/${file.replace(/ts$/, 'js')}`, transpile(readFileSync(join(root, 'src', file), 'utf8')))
  }
}

function project(name: string, entry: string, extension: '.ts' | '.js'): void {
  const put = (file: string, text: string): void =>
    write(`${name}/${file}${extension}`, extension === '.ts' ? text : transpile(text))
  put('main', MAIN.replace('OFFLOAD', entry))
  put('numbers', NUMBERS)
  put('unit', UNIT)
}

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ said: unknown; stderr: string }> {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: folder,
    env: { ...inherited, ...env },
    timeout: PATIENCE_MS,
  })
  return { said: JSON.parse(stdout), stderr }
}

const typescript = { label: '3 m', isMainThread: false, conditions: [], loaded: 'numbers.ts' }

test("Piko and the user's code from source, under tsx, with the conditions of the process", async () => {
  const { said, stderr } = await run(['--conditions=piko-source', '--import', 'tsx', 'source/main.ts'])
  expect(said).toEqual({ ...typescript, conditions: ['--conditions=piko-source'] })
  expect(stderr).toBe('')
})

test('Piko from source on a Node that does not read TypeScript itself', async () => {
  write('source/start.mjs', "import { tsImport } from 'tsx/esm/api'\nawait tsImport('./main.ts', import.meta.url)\n")
  const { said } = await run(['--no-strip-types', 'source/start.mjs'])
  expect(said).toEqual(typescript)
})

test("built Piko, the user's code from source under tsx", async () => {
  expect((await run(['--import', 'tsx', 'mixed/main.ts'])).said).toEqual(typescript)
})

test('built Piko, TypeScript modules, plain node without a flag', async () => {
  const { said, stderr } = await run(['mixed/main.js'])
  expect(said).toEqual(typescript)
  expect(stderr).toBe('')
})

test('all built, plain node: ./numbers.ts finds numbers.js', async () => {
  expect((await run(['built/main.js'])).said).toEqual({ ...typescript, loaded: 'numbers.js' })
})

test('V8 options that Node refuses for threads do no harm', async () => {
  expect((await run(['--max-old-space-size=512', '--expose-gc', 'built/main.js'])).said).toMatchObject({ label: '3 m' })
})

test('an idle pool that nobody closed does not keep the process alive', async () => {
  expect((await run(['built/main.js'], { CLOSE: 'no' })).said).toMatchObject({ label: '3 m' })
})

test.each([
  ['exits', 'process.exit(9)', 'it exited before it was ready'],
  ['throws', "throw new Error('no licence')", 'no licence'],
])('a thread that %s before it is ready fails the call instead of blocking it', async (_, does, reason) => {
  write('preload.mjs', `import { isMainThread } from 'node:worker_threads'\nif (!isMainThread) ${does}\n`)
  const { said } = await run(['--import', './preload.mjs', 'built/main.js'])
  expect(said).toEqual({
    code: 'OFFLOAD_CRASHED',
    message: `the thread that ran whereabouts() of numbers.js ended: ${reason}`,
  })
})
