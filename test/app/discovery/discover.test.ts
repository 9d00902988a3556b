import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { discoverJobs } from '../../../src/app/discovery/discover.ts'
import { jobGlobs } from '../../../src/app/discovery/job-globs.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { JobRegistry } from '../../../src/job/registry.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { SOURCE_FLAGS } from '../../support/source-process.ts'
import { rejected, thrown } from '../../support/thrown.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const run = promisify(execFile)

let project: string
beforeEach(async () => {
  await mkdir(join(root, '.piko'), { recursive: true })
  project = await mkdtemp(join(root, '.piko', 'discover-'))
})
afterEach(() => rm(project, { recursive: true, force: true }))

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = join(project, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
}

const plain = (id: string): string => `import { defineJob } from 'piko'
export const found = defineJob({ id: '${id}' }, () => '${id}')
`
const decorated = `import { job, type JobContext } from 'piko'
import { greeting } from './lib/greeting'
enum Shop { Eu = 'eu' }
export class Jobs {
  constructor(private readonly shop = Shop.Eu) {}
  @job({ id: 'decorated' })
  async run(ctx: JobContext) { return greeting(this.shop, ctx.attempt) }
}
`
/** The output of a compiler for a decorated method. */
const wrongClass = `import { job } from 'piko'
export class Orders { load() {} }
const method = Object.getOwnPropertyDescriptor(Orders.prototype, 'load')
job({ id: 'load', overlap: 'queue' })(Orders.prototype, 'load', method)
`
const greeting = `export const greeting = (shop: string, attempt: number) => \`hello \${shop} \${attempt}\`
`

/** The jobs that a separate process finds, with only Piko's loader. */
async function found(globs: readonly string[], nodeArgs: readonly string[] = [], cwd = project): Promise<unknown> {
  const print = join(root, 'test/fixtures/discover/print.ts')
  const { stdout } = await run(process.execPath, [...SOURCE_FLAGS, ...nodeArgs, print, project, ...globs], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  return JSON.parse(stdout)
}

describe('tests and mocks', () => {
  const broken = "throw new Error('imported')\n"
  const files = [
    ...['a.test.ts', 'b.spec.mjs', '__tests__/c.js', 'deep/__mocks__/d.mjs', 'deep/e.test.cts'],
    ...['f.e2e-spec.ts', 'g.test-d.ts', 'h.bench.mjs', 'i.e2e.js', 'j.cy.ts', 'k.stories.ts', '__fixtures__/l.mjs'],
    ...['m.int-test.ts', 'n.unit-spec.mjs', 'o.d.css.ts', 'p.d.ts'],
  ]

  it.each([
    ['by default', undefined],
    ['by a wildcard of the user', ['jobs/**/*', 'src/jobs/**/*.{ts,mts,cts,js,mjs}']],
  ])('are left out: %s', async (_how, jobs) => {
    const modules = Object.fromEntries(
      files.flatMap((file) => [`jobs/${file}`, `src/jobs/${file}`].map((at) => [at, broken])),
    )
    await write({ ...modules, 'jobs/load-test.mjs': 'export {}\n', 'src/jobs/latest.mjs': 'export {}\n' })
    const { settings } = loadSettings({ env: {}, cwd: project, overrides: jobs ? { piko: { jobs } } : {} })
    const found = await discoverJobs(jobGlobs(settings), project)
    expect(found.map(({ file }) => file)).toEqual(['jobs/load-test.mjs', 'src/jobs/latest.mjs'])
  })

  it('are left out when a glob leads out of the working directory', async () => {
    const at = [...files, 'node_modules/q/index.mjs'].map((file): [string, string] => [`jobs/${file}`, broken])
    await write({ ...Object.fromEntries<string>(at), 'jobs/r.mjs': 'export {}\n', 'other/s.mjs': 'export {}\n' })
    const found = await discoverJobs(['../jobs/**/*'], join(project, 'other'))
    expect(found.map(({ file }) => file)).toEqual(['../jobs/r.mjs'])
  })

  it('are loaded when a glob names them', async () => {
    await write({ 'jobs/a.test.mjs': 'export {}\n', 'jobs/b.spec.mjs': 'export {}\n', 'jobs/c.mjs': 'export {}\n' })
    const names = async (...globs: string[]): Promise<string[]> =>
      (await discoverJobs(globs, project)).map(({ file }) => file)
    expect(await names('jobs/a.test.mjs')).toEqual(['jobs/a.test.mjs'])
    expect(await names('jobs/*.mjs', 'jobs/*.spec.mjs')).toEqual(['jobs/b.spec.mjs', 'jobs/c.mjs'])
    expect(await names('jobs/*.mjs', 'jobs/*.{test,spec}.mjs', '!jobs/b*')).toEqual(['jobs/a.test.mjs', 'jobs/c.mjs'])
  })
})

describe('discoverJobs in its own process', () => {
  beforeEach(async () => {
    await mkdir(join(project, 'node_modules'))
    await symlink(root, join(project, 'node_modules/piko'), 'dir')
  })

  it.each([
    ['"type": "module"', '{ "type": "module" }'],
    ['"type": "commonjs"', '{ "type": "commonjs" }'],
    ['no "type"', '{}'],
  ])('imports decorated TypeScript of a package with %s, in either decorator standard', async (_type, packageJson) => {
    await write({ 'package.json': packageJson, 'jobs/orders.ts': decorated, 'jobs/lib/greeting.ts': greeting })
    for (const experimentalDecorators of [false, true]) {
      await write({ 'tsconfig.json': JSON.stringify({ compilerOptions: { experimentalDecorators } }) })
      expect(await found(['jobs/*.ts'])).toMatchObject({
        files: ['jobs/orders.ts'],
        jobs: [['decorated', 'hello eu 1']],
      })
    }
  })

  // The second argument of a legacy decorator is the method's name; of a TC39 decorator it is the context.
  const shapes = {
    'tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true } }',
    'jobs/orders.ts': `import { defineJob } from 'piko'
      const shapes: string[] = []
      const shape = (...args: any[]): any => void shapes.push(typeof args[1])
      class Any { @shape method() {} }
      export const found = defineJob({ id: 'shapes' }, () => shapes.join())`,
  }

  it.each(['{ "type": "module" }', '{}'])(
    "compiles decorators as the project's tsconfig.json says, in a package %s",
    async (packageJson) => {
      await write({ ...shapes, 'package.json': packageJson })
      // Starts in another folder, which has another tsconfig.json.
      expect(await found(['jobs/*.ts'], [], root)).toMatchObject({ jobs: [['shapes', 'string']] })
    },
  )

  it('leaves an existing loader alone', async () => {
    await write({ ...shapes, 'package.json': '{}' })
    // Starts in another folder, where tsx has read another tsconfig.json.
    expect(await found(['jobs/*.ts'], ['--import', 'tsx'], root)).toMatchObject({ jobs: [['shapes', 'object']] })
  })

  it('imports JavaScript of every kind', async () => {
    await write({
      'package.json': '{}',
      'jobs/a.mjs': plain('esm'),
      'jobs/b.cjs': `const { defineJob } = require('piko')
        const make = (id) => defineJob({ id }, () => id)
        module.exports = { [['found'][0]]: make('cjs') }`,
      'jobs/c.mts': plain('mts'),
    })
    expect(await found(['jobs/*'])).toMatchObject({
      files: ['jobs/a.mjs', 'jobs/b.cjs', 'jobs/c.mts'],
      jobs: [
        ['esm', 'esm'],
        ['cjs', 'cjs'],
        ['mts', 'mts'],
      ],
    })
  })
})

describe('discoverJobs', () => {
  it('imports the files that match the globs, sorted by path, each once', async () => {
    await write({
      'jobs/b.js': plain('b'),
      'jobs/a/z.js': plain('z'),
      'jobs/a.js': plain('a'),
      'jobs/helper.js': 'export const helper = 1',
      'jobs/skipped.js': 'throw new Error("imported")',
      'jobs/types.d.ts': 'export {}',
      'jobs/query.sql': 'select 1',
      'jobs/node_modules/other/jobs.js': 'throw new Error("imported")',
    })
    const modules = await discoverJobs(['jobs/b.js', 'jobs/**', '!**/skipped.js'], project)
    expect(modules.map((module) => module.file)).toEqual(['jobs/a.js', 'jobs/a/z.js', 'jobs/b.js', 'jobs/helper.js'])
    expect(JobRegistry.of(modules).ids).toEqual(['a', 'z', 'b'])
  })

  it('names both files of a duplicate id', async () => {
    await write({ 'jobs/a.js': plain('same'), 'jobs/b.js': plain('same') })
    const modules = await discoverJobs(['jobs/*.js'], project)
    expect(thrown(() => JobRegistry.of(modules)).message).toBe(
      'job "same" is defined twice, by export "found" in jobs/a.js and by export "found" in jobs/b.js; ids must be unique',
    )
  })

  it('accepts a definition that another file exports again, once', async () => {
    await write({ 'jobs/a.js': plain('same'), 'jobs/index.js': `export * from './a.js'` })
    expect(JobRegistry.of(await discoverJobs(['jobs/*.js'], project)).ids).toEqual(['same'])
  })

  it('says which globs matched nothing, and where', async () => {
    const error = await rejected(discoverJobs(['jobs/*.ts', 'more/*.ts'], project))
    expect(error.code).toBe('JOBS_NOT_FOUND')
    expect(error.message).toBe(`no file matches "jobs/*.ts", "more/*.ts" in ${project}`)
  })

  it('keeps the error of a file whose import fails', async () => {
    await write({ 'jobs/broken.js': 'const rate = 1\nthrow new TypeError("no rate")' })
    const error = await rejected(discoverJobs(['jobs/*.js'], project))
    expect(error.code).toBe('JOB_LOAD_FAILED')
    expect(error.message).toBe("jobs/broken.js can't be imported: no rate")
    expect(error.details).toEqual({ file: 'jobs/broken.js' })
    expect(error.cause).toBeInstanceOf(TypeError)
    expect((error.cause as Error).stack).toMatch(/broken\.js:2/)
  })

  it('names all wrong files and jobs together', async () => {
    await write({
      'package.json': '{ "type": "module" }',
      'jobs/a.js': 'throw new TypeError("no rate")',
      'jobs/b.js': plain('two words'),
      'jobs/c.js': plain('fine'),
      'jobs/d.js': wrongClass,
    })
    const error = await rejected(discoverJobs(['jobs/*'], project))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message.split('\n')).toEqual([
      '3 errors in the definitions of jobs:',
      "  jobs/a.js can't be imported: no rate",
      expect.stringMatching(/^ {2}jobs\/b\.js: job "two words": its id must be/),
      expect.stringMatching(/^ {2}Orders\.load: job "load": overlap is "queue"/),
    ])
  })

  it.each(['js', 'ts'])('names all wrong jobs of one file on every call: %s', async (ending) => {
    await write({
      'package.json': '{ "type": "module" }',
      [`jobs/many.${ending}`]: `import { defineJob } from 'piko'
        export const one = defineJob({ id: 'two words' }, async () => {})
        export const fine = defineJob({ id: 'fine' }, async () => {})
        const all = [{ id: 'late', every: '0s' }, { id: 'busy', retry: { limit: -1 } }]
        export const others = all.map((spec) => defineJob(spec, async () => {}))
        if (others.some(({ id }) => id === 'fine')) throw new Error('follows')`,
    })
    for (let time = 0; time < 2; time++) {
      const error = await rejected(discoverJobs(['jobs/*'], project))
      expect(error.code).toBe('JOB_INVALID')
      expect(error.message.split('\n').slice(0, 4)).toEqual([
        '3 errors in the definitions of jobs:',
        expect.stringMatching(new RegExp(`^ {2}jobs/many.${ending}: job "two words": its id must be`)),
        expect.stringMatching(new RegExp(`^ {2}jobs/many.${ending}: job "late"`)),
        expect.stringMatching(new RegExp(`^ {2}jobs/many.${ending}: job "busy"`)),
      ])
    }
    // Faults are gathered only while a failed file is loaded.
    expect(() => defineJob({ id: 'two words' }, async () => {})).toThrow('its id must be')
  })

  it('keeps the code and the message of a wrong spec, and names the file', async () => {
    await write({ 'jobs/wrong.js': plain('two words') })
    const error = await rejected(discoverJobs(['jobs/*.js'], project))
    expect(error.code).toBe('JOB_INVALID')
    expect(error.message).toMatch(/^jobs\/wrong\.js: job "two words": its id must be/)
    expect(error.details).toEqual({ jobId: 'two words', file: 'jobs/wrong.js' })
  })
})

it('a file with untransformed decorators fails with advice on compiling it', async () => {
  await write({
    'package.json': '{ "type": "module" }',
    'jobs/orders.js': 'export class Jobs { @(() => {}) run() {} }',
  })
  await expect(found(['jobs/*.js'])).rejects.toThrow('if it has decorators, compile it for ES2023 or older')
})
