import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { PackedPackage } from '../support/packed-package.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const page = readFileSync(join(root, 'docs/embed.md'), 'utf8')

/** The named files of the page. */
const files = Object.fromEntries(
  [...page.matchAll(/`([\w/.-]+\.\w+)`[^\n]*\n\n```(?:ts|js)\n([\s\S]*?)^```$/gm)].map(([, name = '', code = '']) => [
    name,
    code,
  ]),
)

/** The files of one folder of the page. */
const filesIn = (folder: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(files).flatMap(([name, code]) =>
      name.startsWith(`${folder}/`) ? [[name.slice(folder.length + 1), code]] : [],
    ),
  )

const tsconfig = (compilerOptions: object): string =>
  JSON.stringify({
    compilerOptions: {
      strict: true,
      skipLibCheck: false,
      types: ['node'],
      rootDir: '.',
      outDir: 'out',
      ...compilerOptions,
    },
    include: ['*.ts'],
  })

const ES_MODULE = '{ "type": "module" }'
/** The application of the page for CommonJS. */
const COMMON_JS = `
import express from 'express'
import { Piko } from 'piko'
import { order, report } from './jobs.js'

async function main(): Promise<void> {
  const app = new Piko({ jobs: [report, order] })
  await app.start()
  const web = express()
  web.post('/orders/:id', async (request, response) => {
    response.json(await app.run(order, { input: request.params.id, wait: true }))
  })
  const server = web.listen(0, () => console.log(server.address()))
  process.once('SIGTERM', () => {
    server.close()
    void app.stop()
  })
}
void main()
`

describe('the applications of docs/embed.md, compiled and run with the packed package', () => {
  let packed: PackedPackage

  beforeAll(async () => {
    packed = await PackedPackage.unpack()
    packed.linkEverything()
  })

  afterAll(() => packed.remove())

  /** Starts a program that listens on a free port, and prints it. */
  const start = async (cwd: string): Promise<{ child: ChildProcess; url: string; output: () => string }> => {
    const child = spawn(process.execPath, ['out/main.js'], {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', PORT: '0', PIKO_LOG_JSON: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let output = ''
    const port = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += chunk.toString()
        const found = /port: (\d+)|http:\/\/[^ "]*:(\d+)/.exec(output)
        if (found) resolve((found[1] ?? found[2]) as string)
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', (code) => reject(new Error(`the program exited with ${code}: ${output}`)))
    })
    return { child, url: `http://127.0.0.1:${port}`, output: () => output }
  }

  /** Compiles an application, starts it, orders something, waits for the scheduled job, and stops it by SIGTERM. */
  const tryOut = async (
    cwd: string,
    answer: string,
    compiler: 'typescript' | 'typescript-native',
    look: (url: string) => Promise<void> = async () => {},
  ): Promise<void> => {
    expect(await packed.compile(cwd, compiler)).toBe('')
    const { child, url } = await start(cwd)
    const response = await fetch(`${url}/orders/7`, { method: 'POST' })
    expect(await response.json()).toMatchObject({ state: 'succeeded', output: answer })
    await look(url)
    const ended = new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
    child.kill('SIGTERM')
    // Nest ends the process by the signal that it got.
    expect([0, 'SIGTERM']).toContain(await ended)
    const app = new Piko({
      jobs: [],
      execute: false,
      settings: { piko: { log_level: 'silent' }, sqlite: { path: join(cwd, '.piko/piko.db') } },
    })
    await app.start()
    try {
      expect(await app.nodes.list()).toEqual([])
      expect((await app.runs.list({ state: 'running' })).length).toBe(0)
    } finally {
      await app.stop()
    }
  }

  /** Polls the metrics until the scheduled job has run. */
  const scheduled = (path: string) => async (url: string) => {
    for (const until = Date.now() + PATIENCE_MS; ;) {
      const text = await (await fetch(`${url}${path}`)).text()
      if (/^piko_job_run_total\{job_id="report",status="succeeded"\} [1-9]/m.test(text)) return
      if (Date.now() > until) throw new Error(`the scheduled job did not run: ${text}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  it('Express: its server, its probes and its metrics', async () => {
    const cwd = packed.project('express', {
      'package.json': ES_MODULE,
      'tsconfig.json': tsconfig({ module: 'node16', target: 'es2022' }),
      'jobs.ts': files['jobs.ts']!,
      ...filesIn('express'),
    })
    await tryOut(cwd, 'order 7 is on its way', 'typescript-native', async (url) => {
      expect((await fetch(`${url}/readyz`)).status).toBe(200)
      await scheduled('/metrics')(url)
    })
  })

  it('Express in CommonJS, which loads the package with require', async () => {
    const cwd = packed.project('commonjs', {
      'package.json': '{}',
      'tsconfig.json': tsconfig({ module: 'nodenext', target: 'es2023' }),
      'jobs.ts': files['jobs.ts']!,
      'main.ts': COMMON_JS,
    })
    await tryOut(cwd, 'order 7 is on its way', 'typescript-native')
    expect(readFileSync(join(cwd, 'out/main.js'), 'utf8')).toContain('require("piko")')
  })

  it('Fastify: pikoRoutes, the logger and the registry of the application; all types for a bundler and ES2021', async () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly exports: object }
    const subpaths = Object.keys(exports).filter((path) => !path.endsWith('.json'))
    const cwd = packed.project('fastify', {
      'package.json': ES_MODULE,
      'tsconfig.json': tsconfig({ module: 'esnext', moduleResolution: 'bundler', target: 'es2021' }),
      'jobs.ts': files['jobs.ts']!,
      'all.ts': subpaths.map((path, n) => `export * as part${n} from '${path.replace('.', 'piko')}'\n`).join(''),
      ...filesIn('fastify'),
    })
    await tryOut(cwd, 'order 7 is on its way', 'typescript', async (url) => {
      expect((await fetch(`${url}/piko/readyz`)).status).toBe(200)
      await scheduled('/metrics')(url)
    })
  })

  it('NestJS: jobs of providers, arguments from the container, the life cycle', async () => {
    const cwd = packed.project('nest', {
      'package.json': ES_MODULE,
      'tsconfig.json': tsconfig({
        ...{ module: 'nodenext', target: 'es2023', skipLibCheck: true },
        ...{ experimentalDecorators: true, emitDecoratorMetadata: true },
      }),
      ...Object.fromEntries(Object.entries(filesIn('nest')).filter(([name]) => name.endsWith('.ts'))),
    })
    await tryOut(cwd, 'order 7 of corner shop', 'typescript', async (url) => {
      await expect
        .poll(async () => (await fetch(`${url}/orders/reports`)).json())
        .toContainEqual(expect.objectContaining({ output: 'report of corner shop' }))
    })
  })

  const bin = (path: string): string => join(root, 'node_modules', path)

  it.each([
    ['node:test', 'node', ['--test', 'order.test.mjs']],
    ['Vitest', 'vitest', [bin('vitest/vitest.mjs'), 'run', '--root', '.', `--testTimeout=${PATIENCE_MS}`]],
    ['Jest', 'jest', ['--experimental-vm-modules', bin('jest/bin/jest.js'), `--testTimeout=${PATIENCE_MS}`]],
  ])('a test of %s', async (_name, folder, args) => {
    const cwd = packed.project(`test-${folder}`, { 'package.json': ES_MODULE, ...filesIn(folder) })
    const { stdout, stderr } = await run(process.execPath, args, {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined, VITEST: undefined },
    }).catch((error: unknown) => {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      throw new Error(`the runner failed: ${stdout}\n${stderr}`)
    })
    expect(`${stdout}${stderr}`).toMatch(/pass 1\b|1 passed/)
  })
})
