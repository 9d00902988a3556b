import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { Worker } from '../../src/service/worker.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { SOURCE_FLAGS } from '../support/source-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const fixture = fileURLToPath(new URL('../fixtures/service/worker.ts', import.meta.url))
const cycles = fileURLToPath(new URL('../fixtures/service/cycles.ts', import.meta.url))

class Program {
  readonly #child: ChildProcess
  stdout = ''
  stderr = ''
  readonly exit: Promise<number | string>

  constructor(what: string, env: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', fixture, what], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', ...env },
    })
    this.#child.stdout?.on('data', (data: Buffer) => (this.stdout += data.toString()))
    this.#child.stderr?.on('data', (data: Buffer) => (this.stderr += data.toString()))
    this.exit = once(this.#child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
    running.add(this)
    void this.exit.then(() => running.delete(this))
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async says(text: string, where: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    await expect.poll(() => this[where], { interval: 10 }).toContain(text)
  }

  /** The log lines without the time at their start. */
  get log(): string[] {
    return this.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\d{4}-\S+Z /, ''))
  }
}

const running = new Set<Program>()
afterEach(async () => {
  for (const program of running) program.kill('SIGKILL')
  await Promise.all([...running].map((program) => program.exit))
})

describe('a process', () => {
  it('stops in order on SIGTERM, exits with 0 and logs the tree', async () => {
    const program = new Program('run')
    await program.says('READY')
    await program.says('expired')
    program.kill('SIGTERM')
    expect(await program.exit).toBe(0)
    expect(program.log.filter((line) => !line.includes('expired') && line !== 'READY')).toEqual([
      'INFO [^Worker]: Starting...',
      'INFO [^-App]: Starting...',
      'INFO [^--Cache "a"]: Starting...',
      'INFO [^--Guard]: Starting...',
      'INFO [^---Listener]: Starting...',
      'INFO [^Worker]: Stopping on SIGTERM',
      'INFO [^Worker]: Stopping...',
      'INFO [^-App]: Stopping...',
      'STOPPING',
      'INFO [^--Guard]: Stopping...',
      'INFO [^---Listener]: Stopping...',
      'INFO [^---Listener]: Stopped',
      'INFO [^--Guard]: Stopped',
      'INFO [^--Cache "a"]: Stopping...',
      'INFO [^--Cache "a"]: warm ended',
      'INFO [^--Cache "a"]: Stopped',
      'INFO [^-App]: Stopped',
      'INFO [^Worker]: Stopped',
    ])
    expect(program.stderr).toBe('')
  })

  it('lives until a signal, also if its services wait for nothing', async () => {
    const program = new Program('idle')
    await program.says('ALIVE')
    program.kill('SIGHUP')
    expect(await program.exit).toBe(0)
    expect(program.log).toContain('INFO [^Worker]: Stopping on SIGHUP')
  })

  it('exits with 0 on SIGINT too', async () => {
    const program = new Program('run')
    await program.says('READY')
    program.kill('SIGINT')
    expect(await program.exit).toBe(0)
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('exits immediately on a second signal (%s: %i)', async (signal, code) => {
    const program = new Program('hang')
    await program.says('READY')
    program.kill(signal === 'SIGTERM' ? 'SIGINT' : 'SIGTERM')
    await program.says('STOPPING')
    const before = performance.now()
    program.kill(signal)
    expect(await program.exit).toBe(code)
    expect(performance.now() - before).toBeLessThan(60_000)
    expect(program.log.at(-1)).toMatch(
      `WARN [^Worker]: Ending immediately on a second signal, ${signal}; still running: `,
    )
  })

  it('counts the same signal once within half a second, and as a second one later', async () => {
    const program = new Program('hang')
    await program.says('READY')
    program.kill('SIGTERM')
    await program.says('STOPPING')
    const before = performance.now()
    while ((await Promise.race([program.exit, delay(50)])) === undefined) program.kill('SIGTERM')
    expect(await program.exit).toBe(143)
    expect(performance.now() - before).toBeGreaterThan(400)
  })

  it('exits when the deadline has passed, and names what has not stopped', async () => {
    const program = new Program('hang', { DEADLINE: '1' })
    await program.says('READY')
    program.kill('SIGTERM')
    expect(await program.exit).toBe(143)
    expect(program.stderr).toContain(
      'not stopped within 200 ms: Worker (stopping), Worker/App (stopping), Worker/App/Cache "a" (running), Worker/App/Guard (running)',
    )
  })

  it('exits with 1 and the original error after a crash', async () => {
    const program = new Program('crash')
    expect(await program.exit).toBe(1)
    expect(program.stderr).toMatch(/TypeError: the original error\n +at .*fixtures\/service\/worker\.ts/)
    expect(program.log).toContain('INFO [^---Listener]: Stopping...')
  })

  it('exits with 1 and the whole chain of causes when a supervisor gives up', async () => {
    const program = new Program('escalate')
    expect(await program.exit).toBe(1)
    expect(program.stderr).toContain('crashed again after 1 restart within 1m: crash 2')
    expect(program.stderr).toContain('RangeError: crash 2')
    expect(program.stdout).toContain('[^---Listener]: Restarted after RangeError: crash 1 (restart 1)')
  })

  it('exits with 1 when the start fails, and when something fails at stop', async () => {
    const failing = new Program('fail')
    expect(await failing.exit).toBe(1)
    expect(failing.stderr).toContain('Error: no start today')
    const leaving = new Program('fail-stop')
    await leaving.says('READY')
    leaving.kill('SIGTERM')
    expect(await leaving.exit).toBe(1)
    expect(leaving.stderr).toContain('Error: could not flush')
  })

  it('prints services, tasks, timers and active handles on SIGUSR2, and continues', async () => {
    const program = new Program('run')
    await program.says('READY')
    await program.says('expired')
    program.kill('SIGUSR2')
    await program.says('active:', 'stderr')
    expect(program.stderr).toMatch(
      new RegExp(
        [
          '^Worker: running',
          '  App: running',
          '    Cache "a": running',
          '      - timer expire, for \\S+',
          '      - task warm, for \\S+',
          '      - expire \\(1s\\): fired \\d+, skipped \\d+, at most \\S+ late',
          '    Guard: running',
          '      Listener: running',
          'active: .*TCPServerWrap.*',
        ].join('\n'),
      ),
    )
    program.kill('SIGTERM')
    expect(await program.exit).toBe(0)
  })
})

describe('run', () => {
  it('resolves with 0 when code stops the worker, and restores the signals', async () => {
    const before = ['SIGINT', 'SIGTERM', 'SIGUSR2'].map((signal) => process.listenerCount(signal))
    const worker = new Worker([], { log: silent })
    const code = worker.run()
    await expect.poll(() => worker.isRunning).toBe(true)
    await worker.stop()
    expect(await code).toBe(0)
    expect(['SIGINT', 'SIGTERM', 'SIGUSR2'].map((signal) => process.listenerCount(signal))).toEqual(before)
  })
})

it('200 start/stop cycles leak no listener, timer or memory, and the process ends by itself', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', ...SOURCE_FLAGS, cycles], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: PATIENCE_MS,
  })
  interface Left {
    readonly listeners: number
    readonly active: string[]
    readonly heap: number
  }
  const { before, after } = JSON.parse(stdout) as { before: Left; after: Left }
  expect([after.listeners, after.active]).toEqual([before.listeners, []])
  expect(after.heap - before.heap).toBeLessThan(2_000_000)
})

const nothing = (): void => undefined
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
