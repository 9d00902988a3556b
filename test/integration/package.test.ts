import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { OPTIONAL, PackedPackage } from '../support/packed-package.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

const JOBS = `
import { job, type JobContext } from 'piko'

export class Pings {
  @job({ id: 'ping', cron: '* * * * * *' })
  async ping(ctx: JobContext) {
    ctx.log.info('pong')
  }
}
`

/** A project that names its jobs: ids are checked, and typed as the jobs are. */
const REGISTERED = `
import { defineJob, type Piko } from 'piko'

export const ship = defineJob({ id: 'ship' }, async () => ({ parcels: 1 }))
export const daily = defineJob({ id: 'daily', every: '1d', windows: { start: '2026-01-01T00:00:00Z' } }, () => {})

declare module 'piko' {
  interface RegisteredJobs {
    ship: typeof ship
    daily: typeof daily
    ping: unknown
  }
}

export async function requests(app: Piko): Promise<number> {
  await app.run('ping')
  // @ts-expect-error misspelt
  await app.run('shp')
  // @ts-expect-error misspelt
  await app.enqueue('pong')
  // @ts-expect-error which window?
  await app.run('daily')
  // Ids from the database are unknown to the compiler, and definitions need no id.
  for (const { id } of await app.jobs.list()) await app.jobs.pause(id)
  await app.windows.summary(daily)
  await app.schedules.preview('daily')
  await app.configs.history(ship)
  // @ts-expect-error misspelt
  await app.windows.summary('dialy')
  // @ts-expect-error misspelt
  await app.jobs.resume('pong')
  // @ts-expect-error no job
  await app.jobs.show(7)
  return (await app.run('ship', { wait: true })).output.parcels
}
`

/** Prints, at the exit of a process, which modules it loaded. */
const SPY = `
import { registerHooks } from 'node:module'
import { writeSync } from 'node:fs'
const loaded = []
registerHooks({
  load(url, context, next) {
    loaded.push(url)
    return next(url, context)
  },
})
process.on('exit', () => writeSync(1, JSON.stringify(loaded)))
`

/** The packed package, unpacked into an empty project outside this repository. Only the dependencies come from this repository. */
describe('the packed package in an empty project', () => {
  let packed: PackedPackage
  const piko = (): string => packed.piko

  beforeAll(async () => {
    packed = await PackedPackage.unpack()
    packed.linkDependencies()
  })

  afterAll(() => packed.remove())

  const project = (name: string, files: Record<string, string>): string => packed.project(name, files)

  const start = (cwd: string): { stop: () => Promise<number | null>; url: Promise<string> } => {
    const child = spawn(process.execPath, [join(piko(), 'dist/bin.js'), 'start'], {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', PIKO_HTTP__PORT: '0', PIKO_LOG_JSON: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const url = new Promise<string>((resolve, reject) => {
      let output = ''
      const read = (chunk: Buffer): void => {
        output += chunk.toString()
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)
        if (found) resolve(found[0])
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', (code) => reject(new Error(`piko start exited with ${code}: ${output}`)))
    })
    return {
      url,
      stop: async () => {
        child.kill('SIGTERM')
        return exit
      },
    }
  }

  it.each([
    ['standard decorators in an ES module package', { 'package.json': '{ "type": "module" }', 'tsconfig.json': '{}' }],
    [
      'experimentalDecorators',
      {
        'package.json': '{ "type": "module" }',
        'tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true } }',
      },
    ],
    ['a CommonJS package without a tsconfig', { 'package.json': '{}' }],
  ])('fires a decorated job each second and counts it: %s', async (name, files) => {
    const cwd = project(name.replaceAll(' ', '-'), { ...files, 'jobs.ts': JOBS })
    const node = start(cwd)
    const url = await node.url
    await vi.waitFor(
      async () => {
        const metrics = await (await fetch(`${url}/metrics`)).text()
        const count = /^piko_job_run_total\{job_id="ping",status="succeeded"\} (\d+)$/m.exec(metrics)?.[1]
        expect(Number(count)).toBeGreaterThanOrEqual(2)
      },
      { timeout: PATIENCE_MS, interval: 100 },
    )
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect(await node.stop()).toBe(0)
  })

  it('has types for the user’s compiler in both decorator modes, and on every subpath without optional packages', async () => {
    const tsconfig = (experimentalDecorators: boolean): string =>
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2022',
          module: 'nodenext',
          skipLibCheck: false,
          types: ['node'],
          typeRoots: [join(root, 'node_modules/@types')],
          experimentalDecorators,
        },
        files: experimentalDecorators ? ['jobs.ts'] : ['jobs.ts', 'all.ts'],
      })
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly exports: object }
    const subpaths = Object.keys(exports).filter((path) => !path.endsWith('.json'))
    // Every subpath must compile without the optional packages, which are not installed here.
    const everything = subpaths.map((path, n) => `export * as part${n} from '${path.replace('.', 'piko')}'\n`)
    for (const legacy of [false, true]) {
      const cwd = project(`types-${legacy}`, {
        'package.json': '{ "type": "module" }',
        'tsconfig.json': tsconfig(legacy),
        'jobs.ts': JOBS + REGISTERED,
        'all.ts': everything.join(''),
      })
      expect(await packed.compile(cwd, legacy ? 'typescript' : 'typescript-native')).toBe('')
    }
  })

  it('loads neither the HTTP server nor parts that few processes use', async () => {
    const cwd = project('loaded', {
      'package.json': '{ "type": "module" }',
      'spy.js': SPY,
      'piko.js': "import { Piko } from 'piko'\nnew Piko({ jobs: [], settings: { piko: { log_json: true } } })",
      'http.js': "import 'piko/http'",
      'async.js': "import 'piko/async'",
      'data.js': "import 'piko/data'",
    })
    const urlsOf = async (file: string): Promise<string[]> => {
      const { stdout } = await run(process.execPath, ['--import', './spy.js', file], { cwd })
      const urls = JSON.parse(stdout) as string[]
      expect(urls.some((url) => url.includes('/piko/dist/'))).toBe(true)
      return urls
    }
    const packagesOf = async (file: string): Promise<Set<string | undefined>> => {
      const urls = await urlsOf(file)
      return new Set(urls.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]))
    }
    const loaded = await packagesOf('piko.js')
    expect(loaded).toContain('pino')
    for (const name of [...OPTIONAL, 'undici', 'fastify', 'pino-pretty', 'commander', 'cli-progress', 'tsx'])
      expect(loaded).not.toContain(name)
    expect(await packagesOf('http.js')).toContain('fastify')
    expect((await urlsOf('piko.js')).filter((url) => /\/dist\/(?:calls|async|data)\//.test(url))).toEqual([])
    expect([...(await packagesOf('async.js'))].filter((name) => name !== undefined).sort()).toEqual([
      'fastest-levenshtein',
      'piko',
    ])
    const ofData = await packagesOf('data.js')
    for (const name of [...OPTIONAL, 'undici', 'mysql2', 'kysely', 'piscina', 'pino'])
      expect(ofData).not.toContain(name)
  })

  it('names the optional package for a picture, and answers with text without it', async () => {
    expect(OPTIONAL).toContain('@viz-js/viz')
    const cwd = project('without-optional', { 'package.json': '{}', 'jobs.ts': JOBS })
    const bin = join(piko(), 'dist/bin.js')
    const refused = await run(process.execPath, [bin, 'graph', '--format', 'svg'], { cwd }).catch(
      (error: unknown) => error as { code: number; stderr: string },
    )
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('npm install @viz-js/viz') as string })
    const node = start(cwd)
    const answer = await fetch(`${await node.url}/graph`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
    expect(await answer.text()).toMatch(/^%% .*npm install @viz-js\/viz\nflowchart/)
    expect((await fetch(`${await node.url}/graph?format=svg`)).status).toBe(501)
    expect(await node.stop()).toBe(0)
  })

  it('ships the migrations, but no test', async () => {
    expect(existsSync(join(piko(), 'migrations/sqlite/0001_jobs_and_runs.up.sql'))).toBe(true)
    expect(existsSync(join(piko(), 'settings.example.toml'))).toBe(true)
    expect(existsSync(join(piko(), 'test'))).toBe(false)
  })
})
