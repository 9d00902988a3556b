import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { transform as swc, type Options as SwcOptions } from '@swc/core'
import { transform as esbuild } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OrderJobs, PingJobs, RefundJobs } from '../fixtures/toolchain/jobs.ts'
import { report } from '../fixtures/toolchain/report.ts'
import { SOURCE_FLAGS } from '../support/source-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const fixtures = join(root, 'test/fixtures/toolchain')
const source = join(fixtures, 'jobs.ts')
const run = promisify(execFile)

const orders = [
  ['sync', 'cron', 'orders eu 1'],
  ['cleanup', 'every', 'cleanup of orders 2'],
  ['twice.eu', 'every', 'twice as twice.eu'],
  ['twice.us', 'at', 'twice as twice.us'],
  ['vacuum', 'cron', 'static orders'],
]
const refunds = [
  ['sync', 'cron', 'refunds eu 1'],
  ['cleanup.refunds', 'every', 'own cleanup of refunds'],
  ['twice.eu', 'every', 'overridden, twice as twice.eu'],
  ['twice.us', 'at', 'overridden, twice as twice.us'],
  ['refund', 'none', 'refund by refunds'],
  ['vacuum', 'cron', 'static orders'],
]
const expected = [[...orders, ['ping', 'every', 'pong 1']], refunds]

// Inside the package, so the compiled file's import of 'piko' finds the package itself.
let out: string
beforeAll(async () => {
  await mkdir(join(root, '.piko'), { recursive: true })
  out = await mkdtemp(join(root, '.piko', 'toolchains-'))
})
afterAll(() => rm(out, { recursive: true, force: true }))

async function node(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const { stdout } = await run(process.execPath, [...SOURCE_FLAGS, ...args], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  })
  return JSON.parse(stdout)
}

async function printed(compiled: string): Promise<unknown> {
  return node([join(fixtures, 'print.ts'), pathToFileURL(compiled).href])
}

async function written(name: string, code: string): Promise<string> {
  const file = join(out, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, code)
  return file
}

describe.each([
  { mode: 'TC39 decorators', legacy: false },
  { mode: 'experimentalDecorators', legacy: true },
])('with $mode', ({ legacy }) => {
  const folder = legacy ? 'legacy' : 'tc39'

  it('tsc output registers the same jobs', async () => {
    const project = await written(
      `${folder}/tsconfig.json`,
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: {
          target: 'ES2023',
          experimentalDecorators: legacy,
          // Only tsc's output matters here. test/types checks the types, and compiling all of Piko takes long.
          noCheck: true,
          noResolve: true,
          types: [],
          noEmit: false,
          rootDir: fixtures,
          outDir: join(out, folder, 'tsc'),
        },
        files: [source],
        include: [],
      }),
    )
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
    await run(process.execPath, [tsc, '-p', project])
    expect(await printed(join(out, folder, 'tsc/jobs.js'))).toEqual([folder, ...expected])
  })

  it('esbuild output registers the same jobs', async () => {
    const { code } = await esbuild(await readFile(source, 'utf8'), {
      loader: 'ts',
      target: 'es2022',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: legacy } },
    })
    expect(await printed(await written(`${folder}/esbuild.js`, code))).toEqual([folder, ...expected])
  })

  const swcVersions: NonNullable<NonNullable<SwcOptions['jsc']>['transform']>[] = legacy
    ? [{ legacyDecorator: true }]
    : [{ decoratorVersion: '2022-03' }, { decoratorVersion: '2023-11' }]
  it.each(swcVersions)('swc output registers the same jobs (%o)', async (version) => {
    const { code } = await swc(await readFile(source, 'utf8'), {
      swcrc: false,
      configFile: false,
      jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true }, transform: version },
      module: { type: 'es6' },
    })
    const name = `${folder}/swc-${version.decoratorVersion ?? 'legacy'}.js`
    expect(await printed(await written(name, code))).toEqual([folder, ...expected])
  })

  it('tsx registers the same jobs', async () => {
    const options = { extends: join(root, 'tsconfig.json'), compilerOptions: { experimentalDecorators: legacy } }
    const config = await written(
      `${folder}/tsconfig.tsx.json`,
      JSON.stringify({ ...options, include: [join(root, 'src'), fixtures], exclude: [] }),
    )
    const args = ['--import', 'tsx', join(fixtures, 'print.ts'), pathToFileURL(source).href]
    expect(await node(args, { TSX_TSCONFIG_PATH: config })).toEqual([folder, ...expected])
  })

  it('vitest registers the same jobs', async () => {
    if (!legacy) {
      // This file itself runs in vitest.
      expect([await report(OrderJobs, PingJobs), await report(RefundJobs)]).toEqual(expected)
      return
    }
    // Vite lowers legacy decorators itself, so no plugin is needed.
    const project = join(out, 'vitest')
    await written('vitest/tsconfig.json', JSON.stringify({ compilerOptions: { experimentalDecorators: true } }))
    await copyFile(source, join(project, 'jobs.ts'))
    await copyFile(join(fixtures, 'report.ts'), join(project, 'report.ts'))
    await written(
      'vitest/vitest.config.ts',
      `export default { resolve: { alias: [{ find: /^piko$/, replacement: ${JSON.stringify(join(root, 'src/index.ts'))} }] } }`,
    )
    await written(
      'vitest/jobs.test.ts',
      `import { expect, it } from 'vitest'
       import { OrderJobs, PingJobs, RefundJobs } from './jobs.ts'
       import { report } from './report.ts'
       it('registers the same jobs', async () => {
         expect(Object.hasOwn(OrderJobs, Symbol.for('piko.job.methods'))).toBe(true)
         expect([await report(OrderJobs, PingJobs), await report(RefundJobs)]).toEqual(${JSON.stringify(expected)})
       })`,
    )
    const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
    const { stdout } = await run(process.execPath, [vitest, 'run', '--root', project], {
      env: { ...process.env, NO_COLOR: '1', VITEST: '' },
    })
    expect(stdout).toMatch(/Tests +1 passed/)
  })
})

it("defineJob runs on Node's own type stripping", async () => {
  expect(await node([join(fixtures, 'plain-jobs.ts')])).toEqual([
    ['hello', 'cron', 'hello 1'],
    ['manual', 'none', 'by hand'],
  ])
})
