import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { PATIENCE_MS } from '../support/patience.ts'
import { BUILT_FLAGS, cleanEnv } from '../support/source-process.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BIN = join(ROOT, 'dist/bin.js')

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The error that a command reported with `--json`: the last line of standard error. */
export function errorOf({ stderr }: CliResult): { code: string; message: string; details: Record<string, unknown> } {
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  return (JSON.parse(last) as { error: ReturnType<typeof errorOf> }).error
}

/** Open files to use as a command's streams instead of pipes. */
export interface Streams {
  readonly stdout?: number
  readonly stderr?: number
}

/** A user's project in its own folder, removed after the test. `piko` is this repository, and zod is installed. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'piko-cli-'))

  constructor(files: Readonly<Record<string, string>> = {}) {
    mkdirSync(join(this.folder, 'node_modules'))
    symlinkSync(ROOT, join(this.folder, 'node_modules/piko'), 'dir')
    symlinkSync(join(ROOT, 'node_modules/zod'), join(this.folder, 'node_modules/zod'), 'dir')
    for (const [file, text] of Object.entries(files)) this.write(file, text)
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  write(file: string, text: string | Uint8Array): void {
    mkdirSync(dirname(join(this.folder, file)), { recursive: true })
    writeFileSync(join(this.folder, file), text)
  }

  has(file: string): boolean {
    return existsSync(join(this.folder, file))
  }

  read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8')
  }

  /** Runs the real command line until it exits. */
  async piko(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
    return this.start(args, env).ended
  }

  /** Starts the real command line; it is killed after the test if it still runs. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}, streams: Streams = {}): CliProcess {
    const child = spawn(process.execPath, [...BUILT_FLAGS, BIN, ...args], {
      cwd: this.folder,
      env: { ...cleanEnv(), PIKO_HTTP__PORT: '0', ...env },
      stdio: ['ignore', streams.stdout ?? 'pipe', streams.stderr ?? 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    return new CliProcess(child)
  }
}

export class CliProcess {
  readonly ended: Promise<CliResult>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.ended = once(child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }))
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  kill(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void {
    this.#child.kill(signal)
  }

  /** Stops reading one of its streams, so that writes to it fail from now on. */
  close(stream: 'stdout' | 'stderr'): void {
    this.#child[stream]?.destroy()
  }

  /** The line that `piko start --json` writes when everything runs. */
  async started(): Promise<{ url: string; jobs: string[]; store: string }> {
    const line = await until(() => {
      if (this.#child.exitCode !== null) throw new Error(`piko ended with ${this.#child.exitCode}: ${this.#stderr}`)
      return this.#stdout.includes('\n') && this.#stdout
    })
    return JSON.parse(line) as { url: string; jobs: string[]; store: string }
  }
}

/** Polls, within the time limit of tests, until the answer is neither false nor undefined. */
export async function until<T>(
  ask: () => T | Promise<T>,
  everyMs = 50,
): Promise<Exclude<Awaited<T>, false | undefined>> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer as Exclude<Awaited<T>, false | undefined>
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${String(ask)}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
