import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../cli/project.ts'
import { localRegistry } from '../support/local-registry.ts'
import { cleanEnv } from '../support/source-process.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const blockWith = (text: string): string[] => {
  const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  return (blocks.find((block) => block.includes(text)) ?? '').trim().split('\n')
}

describe('the README, as written', () => {
  let home: string
  let registry: Awaited<ReturnType<typeof localRegistry>>
  beforeAll(async () => {
    registry = await localRegistry()
    home = mkdtempSync(join(tmpdir(), 'piko-first-'))
  })
  afterAll(() => {
    registry.close()
    rmSync(home, { recursive: true, force: true })
  })

  /** Runs lines in a folder until a job has run. */
  const runs = async (lines: readonly string[], cwd: string): Promise<void> => {
    const child: ChildProcess = spawn('bash', ['-ec', lines.join('\n')], {
      cwd,
      env: {
        ...cleanEnv(),
        PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
        PIKO_HTTP__PORT: '0',
        npm_config_registry: registry.url,
        npm_config_cache: join(home, 'cache'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => (output += text))
    const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null
    const stop = (): void => {
      if (child.pid !== undefined && !isOver()) process.kill(-child.pid, 'SIGINT')
    }
    onTestFinished(stop)
    await until(() => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${output}`)
      return /run succeeded .*job_id=hello/.test(output) && /url +http:/.test(output)
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    stop()
    await ended
  }

  it('makes a project that runs', async () => {
    const [build, ...lines] = blockWith('bin.js init')
    expect(build).toBe('npm ci && npm run build') // This test run has done both.
    // This is a separate folder, because `../orders` must not be next to this repository.
    const clone = join(home, 'piko')
    mkdirSync(clone)
    symlinkSync(join(ROOT, 'dist'), join(clone, 'dist'))
    await runs(lines, clone)
  })

  it('adds Piko to a project', async () => {
    const project = join(home, 'other/mine')
    mkdirSync(join(project, 'jobs'), { recursive: true })
    symlinkSync(ROOT, join(home, 'other/piko'))
    const [, hello = ''] = /`jobs\/hello.ts`:\n\n```ts\n([\s\S]*?)```/.exec(readme) ?? []
    writeFileSync(join(project, 'jobs/hello.ts'), hello)
    writeFileSync(join(project, 'package.json'), '{}')
    await runs(blockWith('npm pack ../piko'), project)
  })
})
