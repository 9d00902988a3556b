import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
/** Each TypeScript block, under the file name in the line above it. */
const blocks = readFileSync(join(root, 'README.md'), 'utf8').matchAll(
  /(?:`([\w/.-]+\.ts)`:\n\n)?^```ts\n([\s\S]*?)^```$/gm,
)
const snippets = [...blocks].map(([, name, code]) => ({ name, code: code as string }))

describe('the README', () => {
  let folder: string
  const files: string[] = []

  beforeAll(() => {
    // Inside the repository and outside of node_modules, so that 'piko' means this package.
    mkdirSync(join(root, '.piko'), { recursive: true })
    folder = mkdtempSync(join(root, '.piko/readme-'))
    for (const { name = 'unnamed.ts', code } of snippets) {
      const file = join(folder, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, code)
      files.push(file)
    }
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const node = (...args: string[]) =>
    run(process.execPath, ['--conditions=piko-source', '--import', 'tsx', ...args], {
      cwd: folder,
      env: { ...process.env, PIKO_LOG_LEVEL: 'warn' },
      timeout: 30_000,
    })

  it('names the file of every snippet', () => {
    expect(snippets.map(({ name }) => name)).toEqual(['jobs/hello.ts', 'readings.ts', 'words.ts', 'count.ts'])
  })

  it('shows snippets that compile under strict TypeScript', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
      config: { compilerOptions: object }
    }
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
    const problems = ts.getPreEmitDiagnostics(ts.createProgram(files, { ...options, noEmit: true }))
    expect(
      problems.map(
        (problem) => `${problem.file?.fileName}: ${ts.flattenDiagnosticMessageText(problem.messageText, '\n')}`,
      ),
    ).toEqual([])
  }, 120_000)

  it('shows a job that the command line runs', async () => {
    const { stdout } = await node(join(root, 'src/cli/bin.ts'), 'run', 'hello', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ jobId: 'hello', state: 'succeeded' })
  })

  it('shows a program whose windows are each written once', async () => {
    const { stdout } = await node('readings.ts')
    expect(stdout).toContain('days: 31')
    expect(stdout).toContain('mean: 16')
  })

  it('shows a call in a worker thread', async () => {
    expect((await node('count.ts')).stdout.trim()).toBe('5')
  })
})
